"""Prohashing over HTTP: what is asked while WAMP is down, and what WAMP does not tell.

Two forms are recognised by what comes. The pool's own: an envelope ``{status, code, data}``, ``/status`` by algorithm
with estimates, ``/wallet`` and ``/walletEx``. The documented one, which a proxy served: ``/status`` says how it is
connected, ``/profitability`` is what WAMP pushes. An outage page has status 200, and a wrong key has one too, with code
400 in the envelope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from storage.records.pool import CoinMined, PoolAccount, PoolProfitability, PoolRecords, WorkerPerformance, pool_frames
from tasks.pools.gathering import answer_of
from tasks.pools.judging import judged_frames
from tasks.pools.means import Means
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import (
    POOL_ID,
    coin_of,
    entries,
    pushed_price,
    status_price,
    wallet_of,
    worker_of,
)
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.subject import Subject
from tasks.pools.shape import mapping, objects, part, whole
from tasks.resilience.http import Api, Reply, Value
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

PER_MINUTE = 12.0
"""No limit is documented; clients asked once in one or two minutes."""
BURST = 4

WAMP = "wamp"
_COVERS = {
    "status": Subject.PROFITABILITY,
    "profitability": Subject.PROFITABILITY,
    "workers": Subject.WORKERS,
}
"""Requests that the stream makes needless. What was paid is told by HTTP only."""


def open_account(settings: ProhashingSettings, means: Means, link: Link, guard: PriceGuard) -> ProhashingAccount:
    """The source of the account."""
    http = settings.http
    bearer = SecretStr(f"Bearer {means.key.get_secret_value()}")
    api = Api(
        POOL_ID,
        http.base_url,
        headers={"Authorization": bearer} if http.preset == "documented" else None,
        secrets=[means.key],
        pace=means.pace,
        ca_file=http.ca_file,
        taken=(400, 404),
    )
    return ProhashingAccount(settings, means, api, link, guard)


class ProhashingAccount:
    """One account; see the module."""

    def __init__(self, settings: ProhashingSettings, means: Means, api: Api, link: Link, guard: PriceGuard) -> None:
        self.name = POOL_ID
        self._intervals = settings.http.polling_intervals
        self._account = settings.account
        self._key = means.key
        self._api = api
        self._btc_usd = means.btc_usd
        self._link = link
        self._guard = guard
        self._in_status = False

    @property
    def requests(self) -> Sequence[Request]:
        """See :class:`tasks.sources.source.Source`."""
        intervals = self._intervals
        every = {"status": intervals.status, "profitability": intervals.profitability, "workers": intervals.workers}
        found = [Request(name, seconds, covered_by=self._cover(name)) for name, seconds in every.items()]
        return [*found, Request("payouts", intervals.payouts, rank=1)]

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        match request.name:
            case "status":
                return await self._status(slot)
            case "profitability":
                return await self._profitability(slot)
            case "workers":
                return await self._wallet("/walletEx", slot)
            case _:
                return await self._wallet("/wallet", slot)

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()

    def _cover(self, name: str) -> str | None:
        if self._link.covers(_COVERS[name]):
            return WAMP
        return "status" if name == "profitability" and self._in_status else None

    async def _status(self, slot: int) -> Gathered:
        reply, data = await self._get("/status", {})
        told = mapping(data, f"{self.name}: /status")
        if isinstance(told.get("connected"), bool):  # the documented form
            self._in_status = False
            lacking = [word for word in ("connected", "updating") if told.get(word) is False]
            notices = [f"the service says that it is not {' and not '.join(lacking)}"] if lacking else []
            return Gathered((), [answer_of(reply)], notices, tries=reply.tries)
        price = self._btc_usd()
        found: dict[str, PoolProfitability] = {}
        for key, entry in told.items():
            one = status_price(str(key), entry, price, time=slot) if isinstance(entry, Mapping) else None
            if one is not None:
                found.setdefault(one.algorithm, one)
        if not found:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{self.name}: /status names no algorithm")
        self._in_status = True
        return self._priced(list(found.values()), reply)

    async def _profitability(self, slot: int) -> Gathered:
        if self._in_status:  # found out by the request before this one
            return Gathered(())
        reply, data = await self._get("/profitability", {})
        if isinstance(data, Mapping) and isinstance(data.get("profitability"), Mapping | list):
            data = data["profitability"]
        found: dict[str, PoolProfitability] = {}
        for key, entry in entries(data):
            one = pushed_price(key, entry, time=slot) if isinstance(entry, Mapping) else None
            if one is not None:
                found[one.algorithm] = one
        if not found:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, f"{self.name}: /profitability names no price")
        return self._priced(list(found.values()), reply)

    async def _wallet(self, path: str, slot: int) -> Gathered:
        reply, data = await self._get(path, {"apiKey": self._key})
        told = mapping(data, f"{self.name}: {path}")
        workers: list[WorkerPerformance] | None = None
        coins: list[CoinMined] = []
        if path == "/walletEx":  # without miners when all of them are offline
            workers = []
            for entry in objects(told.get("miners")):
                worker = worker_of(entry, account=self._account, time=slot)
                if worker is None:
                    continue
                workers.append(worker)
                if (coin := coin_of(entry, worker)) is not None:
                    coins.append(coin)
        accounts: list[PoolAccount] = []
        unknown: list[str] = []
        for symbol, entry in part(told, "balances").items():
            account = wallet_of(str(symbol), entry, time=slot, workers=workers) if isinstance(entry, Mapping) else None
            if account is None:
                unknown.append(str(symbol)[:20])
            else:
                accounts.append(account)
        records = PoolRecords(workers=tuple(workers or ()), coins=tuple(coins), accounts=tuple(accounts))
        notices = [f"coins that Lodeline does not know are left out: {', '.join(unknown[:20])}"] if unknown else []
        if path == "/walletEx" and not any(one.status == "online" for one in workers or ()):
            notices.append("no worker is online")
        return Gathered(judged_frames(records), [answer_of(reply)], notices, tries=reply.tries)

    def _priced(self, rows: list[PoolProfitability], reply: Reply) -> Gathered:
        judged, notices = self._guard.judge(rows)
        frames = pool_frames(PoolRecords(profitability=tuple(judged)))
        return Gathered(frames, [answer_of(reply)], notices, tries=reply.tries)

    async def _get(self, path: str, asked: Mapping[str, Value | SecretStr]) -> tuple[Reply, Any]:
        """The reply, and its data out of the envelope where there is one."""
        reply = await self._api.get(path, asked)
        data = reply.data
        code: int | None = None if reply.status < 400 else reply.status
        if isinstance(data, Mapping) and "code" in data and "status" in data:
            code = whole(data["code"])
            if code is not None and 200 <= code < 300 and "data" in data:
                return reply, data["data"]
            code = code or 0
        if code is None:
            return reply, data
        raise SourceFailure(_kind_of(code, keyed=bool(asked)), f"{self.name}: {path}: code {code}: {reply.text[:100]}")


def _kind_of(code: int, *, keyed: bool) -> SourceFailureKind:
    """What a code of the envelope means. A wrong key gives 400."""
    if code in (401, 403) or (code == 400 and keyed):
        return SourceFailureKind.REFUSED
    if code == 429:
        return SourceFailureKind.RATE_LIMITED
    return SourceFailureKind.SERVER_ERROR if code >= 500 else SourceFailureKind.UNEXPECTED
