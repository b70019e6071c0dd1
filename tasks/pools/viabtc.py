"""ViaBTC: SHA-256 and Scrypt accounts, with merged coins as rewards of their own.

Fields, codes and units: the pool's API pages. Every number is text, hashrates in H/s, ``reject_rate`` a fraction. Days
are Beijing days unless ``utc=true`` is said, which is always said here. An error may come with status 200: ``code``
tells.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from storage.records.pool import PoolAccount, PoolPayout, PoolRecords, WorkerPerformance
from tasks.market.coins import COINS
from tasks.normalize.identifier import named
from tasks.pools.gathering import Part, algorithm_of, answer_of, each_coin
from tasks.pools.means import Means
from tasks.pools.settings import PoolSettings
from tasks.pools.shape import amount, instant, mapping, objects, part, sequence, utc_day, whole
from tasks.pools.worker_name import worker_id
from tasks.resilience.http import Api, Reply, Value
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

BASE_URL = "https://www.viabtc.net/res/openapi/v1"
PER_MINUTE = 60.0
"""No limit is documented."""
BURST = 10

SPAN_S = 7 * 86_400
"""How far back days and payments are asked for; what is met again lands on the row it has."""

PAGE_ROWS = 100
MOST_PAGES = 80
"""8,000 workers: at 60 requests a minute more would take longer than a source is waited for."""

_KINDS = {
    2: SourceFailureKind.UNEXPECTED,  # an argument that it does not take
    5001: SourceFailureKind.UNEXPECTED,  # a coin that it does not have, or not there
    12001: SourceFailureKind.REFUSED,
    12002: SourceFailureKind.REFUSED,
    12003: SourceFailureKind.REFUSED,
    12004: SourceFailureKind.REFUSED,
}
_REASONS = {
    12001: "the key is not accepted",
    12002: "the signature is not accepted",
    12003: "the time of the signature is not accepted",
    12004: "this host's address is not on the account's list of allowed ones",
}


def open_pool(settings: PoolSettings, means: Means) -> Viabtc:
    """The source of a live account."""
    return Viabtc(
        settings,
        Api(
            settings.id,
            settings.base_url or BASE_URL,
            headers={"X-API-KEY": means.key},
            pace=means.pace,
            ca_file=settings.ca_file,
        ),
    )


class Viabtc:
    """One account; see the module."""

    def __init__(self, settings: PoolSettings, api: Api) -> None:
        self.name = settings.id
        self.requests = (
            Request("workers", settings.polling_intervals.workers),
            Request("payouts", settings.polling_intervals.payouts, rank=1),
        )
        self._account = settings.account
        self._coins = settings.coins
        self._api = api

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        if request.name == "payouts":
            return await each_coin(self._coins, lambda coin: self._payouts(coin, slot))
        reply = await self._get("/account", {})
        listed = objects(part(reply.data, "data").get("balance"))
        balances = {str(entry.get("coin")).upper(): amount(entry.get("amount")) for entry in listed}
        gathered = await each_coin(self._coins, lambda coin: self._workers(coin, balances, slot))
        # The rest of this answer, mail address and telephone, is not ours to keep.
        used = self._api.masked(json.dumps({"code": 0, "data": {"balance": listed}}))
        account = replace(answer_of(reply, page=len(gathered.answers) + 1), body=used)
        return replace(gathered, answers=[*gathered.answers, account], tries=gathered.tries + reply.tries)

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    async def _workers(self, coin: str, balances: Mapping[str, float | None], slot: int) -> Part:
        symbol = COINS[coin].symbol
        unpaid = balances.get(symbol)
        if COINS[coin].parent is not None:  # nobody works for it by itself
            return Part(PoolRecords(accounts=(PoolAccount(time=slot, pool_id=self.name, coin_id=coin, unpaid=unpaid),)))
        told = await self._get("/hashrate", {"coin": symbol})
        profit = await self._get("/profit", {"coin": symbol})
        listed, pages, notices = await self._pages("/hashrate/worker", {"coin": symbol})
        workers, doubles = workers_of(listed, pool_id=self.name, account=self._account, coin=coin, slot=slot)
        account = account_of(
            part(told.data, "data"), part(profit.data, "data"), unpaid, workers,
            pool_id=self.name, coin=coin, slot=slot,
        )  # fmt: skip
        return Part(PoolRecords(workers=workers, accounts=(account,)), [told, profit, *pages], [*notices, *doubles])

    async def _payouts(self, coin: str, slot: int) -> Part:
        asked: dict[str, Value] = {
            "coin": COINS[coin].symbol,
            "start_date": _day(slot - SPAN_S),
            "end_date": _day(slot),
            "utc": "true",
        }
        history = "/profit/history" if COINS[coin].parent is None else "/reward/history"
        days, day_pages, notices = await self._pages(history, asked)
        paid, paid_pages, more = await self._pages("/wallet/payment/history", asked)
        payouts = (*credits_of(days, pool_id=self.name, coin=coin), *payments_of(paid, pool_id=self.name, coin=coin))
        return Part(PoolRecords(payouts=payouts), [*day_pages, *paid_pages], [*notices, *more])

    async def _pages(
        self, path: str, asked: Mapping[str, Value]
    ) -> tuple[list[Mapping[str, Any]], list[Reply], list[str]]:
        """All rows of ``path``, the replies they came in, and what to notice.

        Rows and ``has_next`` are inside ``data``, or ``data`` is the rows and ``has_next`` stands beside it.
        """
        rows: list[Mapping[str, Any]] = []
        replies: list[Reply] = []
        for page in range(1, MOST_PAGES + 1):
            reply = await self._get(path, {**asked, "page": page, "limit": PAGE_ROWS})
            replies.append(reply)
            data = reply.data["data"]
            holder = data if isinstance(data, Mapping) else reply.data
            listed = holder.get("data", None if holder.get("count") else [])  # a page of nothing may leave its rows out
            rows += objects(sequence(listed, f"{self.name}: {path}, page {page}"))
            if holder.get("has_next") is not True:
                return rows, replies, []
        return rows, replies, [f"{path} has more than {MOST_PAGES} pages: only the first {len(rows)} rows are read"]

    async def _get(self, path: str, asked: Mapping[str, Value]) -> Reply:
        """The answer of ``path``, of code 0 and with ``data``."""
        what = f"{self.name}: {path} {asked.get('coin', '')}".rstrip()
        reply = await self._api.get(path, asked)
        answer = mapping(reply.data, what)
        code = whole(answer.get("code"))
        if code == 0 and "data" in answer:
            return reply
        said = self._api.masked(str(answer.get("message") or "no reason given"))[:100]
        if code is None or code == 0:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{what}: neither data nor a code that tells why: {said}")
        reason = f"{_REASONS[code]}: {said}" if code in _REASONS else said
        raise SourceFailure(_KINDS.get(code, SourceFailureKind.SERVER_ERROR), f"{what}: code {code}, {reason}")


def workers_of(
    listed: Iterable[Mapping[str, Any]], *, pool_id: str, account: str | None, coin: str, slot: int
) -> tuple[tuple[WorkerPerformance, ...], list[str]]:
    """The workers of a list, and notices of names that several have.

    Of these the active one, else the one seen last, has the name; the others are called ``name#id`` by the pool's id.
    """
    by_name: defaultdict[str, dict[int | None, Mapping[str, Any]]] = defaultdict(dict)
    for worker in listed:
        written = worker.get("worker_name")
        if isinstance(written, str) and written.strip():
            by_name[worker_id(account, written)][whole(worker.get("worker_id"))] = worker
    found: list[WorkerPerformance] = []
    notices: list[str] = []
    for name, same in by_name.items():
        first, *others = sorted(same.items(), key=_precedence, reverse=True)
        found.append(_worker(first[1], pool_id, name, coin, slot))
        found += [_worker(worker, pool_id, f"{name}#{number}", coin, slot) for number, worker in others]
        if others:
            told = ", ".join(str(number) for number, _ in others)
            notices.append(f"{len(same)} workers are called {name}: {first[0]} keeps the name, {told} have it with #id")
    return tuple(found), notices


def _precedence(numbered: tuple[int | None, Mapping[str, Any]]) -> tuple[bool, int, int]:
    number, worker = numbered
    return worker.get("worker_status") == "active", instant(worker.get("last_active")) or 0, -(number or 0)


def _worker(worker: Mapping[str, Any], pool_id: str, identity: str, coin: str, slot: int) -> WorkerPerformance:
    rejected = amount(worker.get("reject_rate"))
    if rejected is not None and rejected > 1.0:
        rejected = None  # a fraction by the documentation; as a percentage it would mean another thing
    last = instant(worker.get("last_active"))
    status = worker.get("worker_status")
    return WorkerPerformance(
        time=slot,
        pool_id=pool_id,
        worker_id=identity,
        algorithm=algorithm_of(coin),
        status={"active": "online", "unactive": "offline"}.get(status if isinstance(status, str) else "", "unknown"),
        hashrate_reported_hs=amount(worker.get("hashrate_10min")),
        hashrate_effective_hs=amount(worker.get("hashrate_24hour")),
        reject_ratio=rejected,
        reject_basis=None if rejected is None else "rate",
        last_share_age_s=None if last is None or last > slot else float(slot - last),
        time_window="24h",
    )


def account_of(
    told: Mapping[str, Any], profit: Mapping[str, Any], unpaid: float | None, workers: tuple[WorkerPerformance, ...], *,
    pool_id: str, coin: str, slot: int,
) -> PoolAccount:  # fmt: skip
    """The account in ``coin``; workers are counted where the pool leaves their number out, as some do at none."""
    online = sum(1 for worker in workers if worker.status == "online")
    active, inactive = whole(told.get("active_workers")), whole(told.get("unactive_workers"))
    active = online if active is None else active
    return PoolAccount(
        time=slot,
        pool_id=pool_id,
        coin_id=coin,
        hashrate_hs=amount(told.get("hashrate_10min")),
        workers_active=active,
        workers_inactive=len(workers) - online if inactive is None else inactive,
        credited_total=amount(profit.get("total_profit")),
        unpaid=unpaid,
        status="live" if active else "all_offline",
    )


def credits_of(days: Iterable[Mapping[str, Any]], *, pool_id: str, coin: str) -> tuple[PoolPayout, ...]:
    """What was credited for each UTC day, timed at its start; a day without a date cannot be kept."""
    return tuple(
        PoolPayout(
            time=start, pool_id=pool_id, coin_id=coin, kind="credited", reference=day, settlement_day=day,
            settlement_zone="UTC", amount=amount(entry.get("total_profit")),
        )
        for entry in days
        if (start := _start(entry.get("date"))) is not None and (day := utc_day(start)) is not None
    )  # fmt: skip


def payments_of(paid: Iterable[Mapping[str, Any]], *, pool_id: str, coin: str) -> tuple[PoolPayout, ...]:
    """What left the pool; a payment without a time cannot be kept."""
    found: list[PoolPayout] = []
    for entry in paid:
        time = instant(entry.get("create_time"))
        if time is None:
            continue
        number, written = whole(entry.get("id")), entry.get("tx")
        transaction = named(written) if isinstance(written, str) else None
        found.append(
            PoolPayout(
                time=time,
                pool_id=pool_id,
                coin_id=coin,
                kind="paid",
                reference=str(number if number is not None else transaction or time),
                amount=amount(entry.get("amount")),
                settlement_zone="UTC",
                transaction=transaction,
            )
        )
    return tuple(found)


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _start(date: Any) -> int | None:
    """The first second of a UTC day written YYYY-MM-DD."""
    try:
        return instant(datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except (TypeError, ValueError):
        return None
