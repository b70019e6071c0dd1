"""Mining-Dutch: many algorithms, coins exchanged by the pool.

Fields: the pool's API page, and where it is silent what two public clients read; these two do not agree whether workers
are told in H/s or MH/s. MH/s is taken, and a worker above its whole pool is left out as a unit gone wrong. One request
every five seconds an address; above it, and in an outage, the answer has status 200 all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from storage.records.pool import PoolAccount, PoolPayout, PoolProfitability, PoolRecords, WorkerPerformance, pool_frames
from tasks.market.coins import COINS, by_name
from tasks.normalize.identifier import algorithm_name, named
from tasks.normalize.number import finite, number
from tasks.pools.gathering import Part, algorithm_of, answer_of, each_coin
from tasks.pools.means import Means
from tasks.pools.settings import PoolSettings
from tasks.pools.shape import amount, instant, mapping, objects, part, scaled, sequence, whole
from tasks.pools.worker_name import worker_id
from tasks.resilience.http import Api, Reply, Value
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

BASE_URL = "https://www.mining-dutch.nl"
PER_MINUTE = 10.0
"""One in five seconds is allowed; a sixth second keeps two apart that travel unevenly."""

MEGA, TERA = 1e6, 1e12
ZONE = "Europe/Amsterdam"
"""The pool's clock: times of transactions have no zone of their own."""

_CALLED = {"bitcoin-cash": "bitcoincashnode"}
"""Coins whose page is not called by their name."""
_TOO_FAST = re.compile(r"only\s+\d+\s+requests?\s+every\s+(\d+)\s+second", re.IGNORECASE)
_ESTIMATES = (("actual_last24h", "24h"), ("estimate_last24h", "24h estimate"), ("estimate_current", "now, estimate"))
"""What was paid goes first: estimates run away when a coin found no block for long."""


def open_pool(settings: PoolSettings, means: Means) -> MiningDutch:
    """The source of a live account."""
    api = Api(
        settings.id, settings.base_url or BASE_URL, secrets=[means.key], pace=means.pace, ca_file=settings.ca_file
    )
    return MiningDutch(settings, means, api)


class MiningDutch:
    """One account; see the module."""

    def __init__(self, settings: PoolSettings, means: Means, api: Api) -> None:
        self.name = settings.id
        self.requests = (
            Request("status", settings.polling_intervals.profitability),
            Request("workers", settings.polling_intervals.workers),
            Request("payouts", settings.polling_intervals.payouts, rank=1),
        )
        self._account = settings.account
        self._coins = settings.coins
        self._key = means.key
        self._api = api
        self._btc_usd = means.btc_usd
        self._guard = means.guard
        self._pool_hs: dict[str, float] = {}

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        if request.name == "status":
            return await self._status(slot)
        if request.name == "payouts":
            return await each_coin(self._coins, self._payouts)
        seen: set[str] = set()
        return await each_coin(self._coins, lambda coin: self._workers(coin, seen, slot))

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    async def _status(self, slot: int) -> Gathered:
        reply = await self._get("/api/status", {})
        found = profitability_of(reply.data, self._btc_usd(), pool_id=self.name, slot=slot)
        if not found:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{self.name}: /api/status names no algorithm")
        self._pool_hs = {one.algorithm: one.pool_hashrate_hs for one in found if one.pool_hashrate_hs is not None}
        notices: list[str] = []
        judged: Sequence[PoolProfitability] = found
        if self._guard is not None:
            judged, notices = self._guard.judge(found)
        frames = pool_frames(PoolRecords(profitability=tuple(judged)))
        return Gathered(frames, [answer_of(reply)], notices, tries=reply.tries)

    async def _workers(self, coin: str, seen: set[str], slot: int) -> Part:
        listed, reply = await self._action(coin, "getuserworkers")
        held, balance = await self._action(coin, "getuserbalance")
        miners = sequence(
            listed.get("miners", []) if isinstance(listed, Mapping) else listed, f"{self.name}: workers of {coin}"
        )
        workers, notices = workers_of(
            objects(miners), self._pool_hs, pool_id=self.name, account=self._account, coin=coin, slot=slot
        )
        account = account_of(mapping(held, self.name), workers, pool_id=self.name, coin=coin, slot=slot)
        # Every coin's page may list the workers of the whole account.
        fresh = tuple(worker for worker in workers if worker.worker_id not in seen)
        seen.update(worker.worker_id for worker in fresh)
        return Part(PoolRecords(workers=fresh, accounts=(account,)), [reply, balance], notices if fresh else [])

    async def _payouts(self, coin: str) -> Part:
        told, reply = await self._action(coin, "getusertransactions")
        listed = sequence(mapping(told, self.name).get("transactions"), f"{self.name}: transactions of {coin}")
        return Part(PoolRecords(payouts=payouts_of(objects(listed), pool_id=self.name, coin=coin)), [reply])

    async def _action(self, coin: str, action: str) -> tuple[Any, Reply]:
        """``data`` of an account's action, out of its wrapper ``{action: {version, runtime, data}}``."""
        page = _CALLED.get(coin, COINS[coin].id.replace("-", ""))
        reply = await self._get(f"/pools/{page}.php", {"page": "api", "action": action, "api_key": self._key})
        wrapper = part(reply.data, action)
        if "data" not in wrapper:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{self.name}: no data in {action} of {coin}")
        return wrapper["data"], reply

    async def _get(self, path: str, asked: Mapping[str, Value | SecretStr]) -> Reply:
        try:
            reply = await self._api.get(path, asked)
        except SourceFailure as failure:
            if failure.kind is SourceFailureKind.NOT_JSON and "access denied" in str(failure).lower():
                raise SourceFailure(SourceFailureKind.REFUSED, str(failure)) from failure
            raise
        answer = mapping(reply.data, f"{self.name}: {path}")
        said = answer.get("message")
        if not isinstance(said, str) or not said.strip():
            return reply
        told = f"{self.name}: {path}: {self._api.masked(said)[:100]}"
        if limit := _TOO_FAST.search(said):
            wait = float(limit[1]) + 1.0
            await self._api.slow_down(wait)
            raise SourceFailure(SourceFailureKind.RATE_LIMITED, told, retry_after_s=wait)
        if len(answer) == 1 or not answer.get("success", True):
            raise SourceFailure(SourceFailureKind.SERVER_ERROR, told)
        return reply


def profitability_of(
    status: Mapping[str, Any], btc_usd: float | None, *, pool_id: str, slot: int
) -> tuple[PoolProfitability, ...]:
    """What each algorithm pays. An estimate is BTC a day for ``mbtc_mh_factor`` MH/s; a factor that is not positive
    says that nothing is known."""
    found: dict[str, PoolProfitability] = {}
    for key, entry in status.items():
        if not isinstance(entry, Mapping) or not ("name" in entry or "mbtc_mh_factor" in entry):
            continue
        algorithm = algorithm_name(entry.get("name", key))
        if algorithm is None or algorithm in found:
            continue
        factor = number(entry.get("mbtc_mh_factor"))
        told = ((amount(entry.get(name)), period) for name, period in _ESTIMATES)
        estimate, period = next(((value, period) for value, period in told if value is not None), (None, None))
        fee = amount(entry.get("fees"))
        usd = None
        if estimate is not None and factor is not None and factor > 0 and btc_usd is not None:
            usd = finite(estimate / factor * (TERA / MEGA) * btc_usd)
        found[algorithm] = PoolProfitability(
            time=slot,
            pool_id=pool_id,
            algorithm=algorithm,
            per_hash_rate_usd_th_day=usd,
            unit=None if factor is None else f"BTC per {factor:g} MH/s and day",
            time_period=period,
            fee_ratio=None if fee is None else fee / 100.0,
            pool_hashrate_hs=amount(entry.get("hashrate")),
        )
    return tuple(found.values())


def workers_of(
    listed: Iterable[Mapping[str, Any]], pool_hs: Mapping[str, float], *, pool_id: str, account: str | None, coin: str,
    slot: int,
) -> tuple[tuple[WorkerPerformance, ...], list[str]]:  # fmt: skip
    """The workers of a list, and notices of hashrates that are above ``pool_hs`` of their whole algorithm."""
    found: dict[str, WorkerPerformance] = {}
    notices: list[str] = []
    for miner in listed:
        written = miner.get("username")
        if not isinstance(written, str) or not written.strip():
            continue
        identity = worker_id(account, written)
        mining = by_name(now) if isinstance(now := miner.get("nowMining"), str) else None
        algorithm = mining.algorithm if mining is not None and mining.algorithm is not None else algorithm_of(coin)
        hashrate = scaled(amount(miner.get("hashrate")), MEGA)
        if hashrate is not None and hashrate > pool_hs.get(algorithm, float("inf")):
            notices.append(f"{identity}: {hashrate:.4g} H/s is more than the whole pool has of {algorithm}: unit?")
            hashrate = None
        last = instant(miner.get("lastshare"))
        found[identity] = WorkerPerformance(
            time=slot,
            pool_id=pool_id,
            worker_id=identity,
            algorithm=algorithm,
            status=_status(miner.get("alive")),
            hashrate_reported_hs=hashrate,
            last_share_age_s=None if last is None or last > slot else float(slot - last),
        )
    return tuple(found.values()), notices


def account_of(
    held: Mapping[str, Any], workers: tuple[WorkerPerformance, ...], *, pool_id: str, coin: str, slot: int
) -> PoolAccount:
    """The account in ``coin``: unpaid is what is confirmed and what is not yet."""
    confirmed, unconfirmed = (amount(held.get(name)) for name in ("confirmed", "unconfirmed"))
    active = sum(1 for worker in workers if worker.status == "online")
    return PoolAccount(
        time=slot,
        pool_id=pool_id,
        coin_id=coin,
        workers_active=active,
        workers_inactive=len(workers) - active,
        unpaid=None if confirmed is None or unconfirmed is None else confirmed + unconfirmed,
        status="live" if active else "all_offline",
    )


def payouts_of(listed: Iterable[Mapping[str, Any]], *, pool_id: str, coin: str) -> tuple[PoolPayout, ...]:
    """Credits and debits; transactions of other types, e.g. fees, or without id or time are none of them."""
    found: list[PoolPayout] = []
    for entry in listed:
        kind = str(entry.get("type")).lower()
        reference, time, changed = whole(entry.get("id")), _time(entry.get("timestamp")), number(entry.get("amount"))
        if reference is None or time is None or not kind.startswith(("credit", "debit")):
            continue
        transaction = entry.get("txid")
        found.append(
            PoolPayout(
                time=time,
                pool_id=pool_id,
                coin_id=coin,
                kind="credited" if kind.startswith("credit") else "paid",
                reference=str(reference),
                amount=None if changed is None else abs(changed),
                settlement_zone=ZONE,
                transaction=named(transaction) if isinstance(transaction, str) and transaction.isalnum() else None,
            )
        )
    return tuple(found)


def _status(alive: Any) -> str:
    """Of 1, 0 and their like as text or as true and false."""
    told = alive if isinstance(alive, bool) else whole(alive)
    return "unknown" if told is None else "online" if told else "offline"


def _time(written: Any) -> int | None:
    """Unix seconds of a time of the pool's clock, written YYYY-MM-DD HH:MM:SS."""
    try:
        local = datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(ZONE))
        return instant(local.astimezone(UTC).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None
