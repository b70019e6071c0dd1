"""F2Pool, version 2 of its interface: SHA-256 and Litecoin accounts.

Fields and units: the pool's API page. Hashrates are in H/s. There are no counts of shares: what came late or was wrong
is told as a hashrate. Days are UTC days. Errors come with status 200 as ``{code, msg}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from storage.records.pool import PoolAccount, PoolPayout, PoolRecords, WorkerPerformance
from tasks.normalize.identifier import named
from tasks.normalize.number import number
from tasks.pools.gathering import Part, algorithm_of, each_coin
from tasks.pools.means import Means
from tasks.pools.settings import PoolSettings
from tasks.pools.shape import amount, instant, mapping, objects, part, scaled, sequence, utc_day, whole
from tasks.pools.worker_name import worker_id
from tasks.resilience.http import Api, Reply
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

BASE_URL = "https://api.f2pool.com/v2"
PER_MINUTE = 50.0
"""No limit is documented; clients wait a second between calls."""

SPAN_S = 7 * 86_400
"""How far back transactions are asked for: what is credited late is met again, and lands on the row it has."""

_STATUS = {0: "online", 1: "offline", 2: "expired"}
_BAD_ARGUMENT, _NO_PERMISSION = 5001, 5010


def open_pool(settings: PoolSettings, means: Means) -> F2pool:
    """The source of a live account."""
    return F2pool(
        settings,
        Api(
            settings.id, settings.base_url or BASE_URL, headers={"F2P-API-SECRET": means.key}, pace=means.pace,
            ca_file=settings.ca_file,
        ),
    )  # fmt: skip


class F2pool:
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
        asked = self._workers if request.name == "workers" else self._payouts
        return await each_coin(self._coins, lambda coin: asked(coin, slot))

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    async def _workers(self, coin: str, slot: int) -> Part:
        info = await self._post("/hash_rate/info", coin, "info")
        listed = await self._post("/hash_rate/worker/list", coin, "workers")
        balance = await self._post("/assets/balance", coin, "balance_info")
        told = sequence(listed.data.get("workers", []), f"{self.name}: workers of {coin}")
        # ``host`` is the worker's public address, which is not ours to keep.
        kept = [
            {**worker, "host": None} if isinstance(worker, Mapping) and "host" in worker else worker for worker in told
        ]
        listed = replace(listed, text=self._api.masked(json.dumps({**listed.data, "workers": kept})))
        workers = workers_of(told, pool_id=self.name, account=self._account, coin=coin, slot=slot)
        owned = account_of(
            part(info.data, "info"), part(balance.data, "balance_info"), workers,
            pool_id=self.name, coin=coin, slot=slot,
        )  # fmt: skip
        return Part(PoolRecords(workers=workers, accounts=(owned,)), [info, listed, balance])

    async def _payouts(self, coin: str, slot: int) -> Part:
        more: dict[str, str | int] = {"type": "revenue,payout", "start_time": slot - SPAN_S, "end_time": slot}
        reply = await self._post("/assets/transactions/list", coin, "transactions", more)
        listed = sequence(reply.data.get("transactions", []), f"{self.name}: transactions of {coin}")
        payouts, odd = payouts_of(listed, pool_id=self.name, coin=coin)
        notices = [f"transactions that take {coin} and are no payout are left out: {', '.join(odd)}"] if odd else []
        return Part(PoolRecords(payouts=payouts), [reply], notices)

    async def _post(self, path: str, coin: str, holds: str, more: Mapping[str, str | int] | None = None) -> Reply:
        """The answer of ``path`` for ``coin``, with ``holds`` in it, or with nothing: what is empty may be left out."""
        what = f"{self.name}: {path} of {coin}"
        reply = await self._api.post(path, {"mining_user_name": self._account, "currency": coin, **(more or {})})
        data = mapping(reply.data, what)
        if holds in data or not data.keys() - {"currency"}:
            return reply
        said = self._api.masked(str(data.get("msg") or "no reason given"))[:100]
        kind = _kind(whole(data.get("code")), said)
        if kind is SourceFailureKind.RATE_LIMITED:
            await self._api.slow_down(None)
        raise SourceFailure(kind, f"{what}: code {data.get('code')!r:.20}, {said}, no {holds}")


def _kind(code: int | None, said: str) -> SourceFailureKind:
    if code is None or code == _BAD_ARGUMENT:
        return SourceFailureKind.UNEXPECTED
    low = said.lower()
    if code == _NO_PERMISSION or any(word in low for word in ("permission", "auth", "token", "secret")):
        return SourceFailureKind.REFUSED
    if any(word in low for word in ("too many", "frequen", "rate limit")):
        return SourceFailureKind.RATE_LIMITED
    return SourceFailureKind.SERVER_ERROR


def workers_of(
    listed: Any, *, pool_id: str, account: str | None, coin: str, slot: int
) -> tuple[WorkerPerformance, ...]:
    """The workers of a list; one without a name is none. What cannot be read of one is None."""
    return tuple(
        _worker(worker, pool_id, worker_id(account, name), coin, slot)
        for worker in objects(listed)
        if isinstance(name := part(worker, "hash_rate_info").get("name"), str) and name.strip()
    )


def _worker(worker: Mapping[str, Any], pool_id: str, identity: str, coin: str, slot: int) -> WorkerPerformance:
    rates = part(worker, "hash_rate_info")
    now, day, stale = (amount(rates.get(name)) for name in ("hash_rate", "h24_hash_rate", "h24_stale_hash_rate"))
    code = whole(worker.get("status"))
    # Zeros are left out of some answers, and zero is online.
    status = ("online" if now else "unknown") if code is None else _STATUS.get(code, "unknown")
    rejected = stale / (day + stale) if day is not None and stale is not None and day + stale > 0 else None
    last = instant(worker.get("last_share_at"))
    return WorkerPerformance(
        time=slot,
        pool_id=pool_id,
        worker_id=identity,
        algorithm=algorithm_of(coin),
        status=status,
        hashrate_reported_hs=now,
        hashrate_effective_hs=day,
        reject_ratio=rejected,
        reject_basis=None if rejected is None else "rate",
        last_share_age_s=None if last is None or last > slot else float(slot - last),
        time_window="24h",
    )


def account_of(
    info: Mapping[str, Any], balance: Mapping[str, Any], workers: tuple[WorkerPerformance, ...], *, pool_id: str,
    coin: str, slot: int,
) -> PoolAccount:  # fmt: skip
    """The account in ``coin``. The pool tells income by UTC day, so nothing is known of the last 24 h."""
    active = sum(1 for worker in workers if worker.status == "online")
    return PoolAccount(
        time=slot,
        pool_id=pool_id,
        coin_id=coin,
        hashrate_hs=scaled(info.get("hash_rate"), 1.0),
        workers_active=active,
        workers_inactive=len(workers) - active,
        credited_total=amount(balance.get("total_income")),
        paid_total=amount(balance.get("paid")),
        unpaid=amount(balance.get("balance")),
        status="live" if active else "all_offline",
    )


def payouts_of(listed: Any, *, pool_id: str, coin: str) -> tuple[tuple[PoolPayout, ...], list[str]]:
    """What was credited and what was paid, and the ids of what is neither: corrections that take something back.

    A transaction without id or time cannot be kept.
    """
    found: list[PoolPayout] = []
    odd: list[str] = []
    for entry in objects(listed):
        reference = whole(entry.get("id"))
        changed = number(entry.get("changed_balance"))
        mined, paid = part(entry, "mining_extra"), part(entry, "payout_extra")
        left = bool(paid) or entry.get("type") == "payout"
        time = instant(paid.get("paid_time")) or instant(entry.get("created_at"))
        if reference is None or time is None:
            continue
        if not left and changed is not None and changed < 0:
            odd.append(str(reference))
            continue
        told = amount(paid.get("value"))
        found.append(
            PoolPayout(
                time=time,
                pool_id=pool_id,
                coin_id=coin,
                kind="paid" if left else "credited",
                reference=str(reference),
                amount=told if told is not None else None if changed is None else abs(changed),
                settlement_day=utc_day(mined.get("mining_date")),
                settlement_zone="UTC",
                fee_ratio=amount(mined.get("pps_fee_rate")),
                transaction=named(tx) if isinstance(tx := paid.get("tx_id"), str) else None,
            )
        )
    return tuple(found), odd
