"""What a stream told, as a table of what is true now: bounded by the number of things there are, not of updates."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from storage.records.pool import CoinMined, PoolAccount, PoolProfitability, PoolRecords, WorkerPerformance
from tasks.miners.redaction import Redaction
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import (
    algorithm_of,
    balance_of,
    coin_of,
    entries,
    pool_hashrates,
    pushed_price,
    worker_key,
    worker_of,
)
from tasks.pools.prohashing.subject import Subject
from tasks.pools.shape import amount

MOST_KEYS = 50_000
"""Things of one subject; more are not taken."""
SHOWN = 5
"""Malformed payloads whose text is logged; all are counted."""
_SHOWN_LENGTH = 200
_NUMBERS = {Subject.PROFITABILITY: "usd", Subject.WORKERS: "hashrate", Subject.BALANCES: "balance"}

Row = dict[str, Any]
_log = logging.getLogger(__name__)


class Feed:
    """Newest state of all that was told, and which of it is not handed on yet. Used from one event loop.

    Changes of one thing become one row: a partial object is laid over what is known of its uuid. While a snapshot is
    on its way (:meth:`hold`), changes are kept aside and laid over it when it is there.
    """

    def __init__(self, name: str, account: str | None, redaction: Redaction, link: Link) -> None:
        self._name = name
        self._account = account
        self._redaction = redaction
        self._link = link
        self._table: dict[Subject, dict[str, Row]] = {subject: {} for subject in Subject}
        self._aside: dict[Subject, dict[str, Row]] | None = None
        self._dirty: dict[Subject, dict[str, Row]] = {subject: {} for subject in Subject}
        self._taken: tuple[int, dict[Subject, dict[str, Row]]] = (0, self._dirty)
        self._coins: dict[str, str] = {}

    @property
    def pending(self) -> bool:
        """Whether there is something to take."""
        return any(self._dirty.values())

    def hold(self, subjects: Iterable[Subject] = Subject) -> None:
        """Keep changes of ``subjects`` aside from now on, until :meth:`release`."""
        self._aside = {subject: {} for subject in subjects}

    def release(self) -> None:
        """Lay over the table what was kept aside."""
        aside, self._aside = self._aside, None
        for subject, rows in (aside or {}).items():
            for key, row in rows.items():
                self._lay_over(self._table, subject, key, row)

    def hear(self, subject: Subject, payload: Any) -> None:
        """Take what a topic told. What cannot be read is counted and left out, the rest of the payload is taken."""
        target = self._aside if self._aside is not None and subject in self._aside else self._table
        good = False
        for key, row in self._rows(subject, payload):
            good |= self._lay_over(target, subject, key, row)
        if good:
            self._link.heard(subject)

    def replace(self, subject: Subject, payload: Any) -> None:
        """Take a snapshot: what it does not have is gone. One of which nothing can be read is none: what is known
        stays, and nobody counts on the stream for the subject."""
        before = self._link.malformed
        fresh = dict(self._rows(subject, payload))
        if not fresh and self._link.malformed > before:
            return
        self._table[subject] = {}
        for key, row in fresh.items():
            self._lay_over(self._table, subject, key, row)
        self._link.heard(subject)  # an account without workers has an empty one

    def take(self, time: int) -> tuple[PoolRecords, dict[Subject, str]]:
        """What changed since the last call, stamped ``time``; and what it was made from, as text without secrets.

        Twice in one second, the second time has all of that second: stores replace rows of the same time.
        """
        dirty, self._dirty = self._dirty, {subject: {} for subject in Subject}
        second, before = self._taken
        if second == time:
            dirty = {subject: {**before[subject], **dirty[subject]} for subject in Subject}
        self._taken = (time, dirty)
        workers: list[WorkerPerformance] = []
        coins: list[CoinMined] = []
        for row in dirty[Subject.WORKERS].values():
            worker = worker_of(row, account=self._account, time=time)
            if worker is None:
                continue
            workers.append(worker)
            coin = coin_of(row, worker)
            if coin is not None and self._coins.get(worker.worker_id) != coin.coin_id:
                self._coins[worker.worker_id] = coin.coin_id
                coins.append(coin)
        prices: dict[str, PoolProfitability] = {
            algorithm: price
            for algorithm, row in dirty[Subject.PROFITABILITY].items()
            if (price := pushed_price(algorithm, row, time=time)) is not None
        }
        for row in dirty[Subject.GENERAL].values():
            for one in pool_hashrates(row, time=time):
                prices[one.algorithm] = _with_hashrate(prices.get(one.algorithm), one)
        accounts: list[PoolAccount] = [
            account
            for coin, row in dirty[Subject.BALANCES].items()
            if (account := balance_of(coin, row.get("balance"), time=time)) is not None
        ]
        records = PoolRecords(
            workers=tuple(workers), coins=tuple(coins), profitability=tuple(prices.values()), accounts=tuple(accounts)
        )
        return records, {subject: self._masked(list(rows.values())) for subject, rows in dirty.items() if rows}

    def _rows(self, subject: Subject, payload: Any) -> Iterator[tuple[str, Row]]:
        """Key and object of each thing in a payload."""
        if subject is Subject.BALANCES and isinstance(payload, Mapping) and "coin" not in payload:
            payload = [{"coin": coin, "balance": balance} for coin, balance in payload.items()]
        parts = [("", payload)] if subject is Subject.GENERAL else entries(payload)
        for name, entry in parts:
            key = _key(subject, name, entry) if isinstance(entry, Mapping) else None
            if key is None:
                self._malformed(subject, entry)
                continue
            number = _NUMBERS.get(subject)
            told = None if number is None else entry.get(number)
            if told is not None and amount(told) is None:
                self._malformed(subject, entry)
                continue
            yield key, {str(field): value for field, value in entry.items()}

    def _lay_over(self, target: dict[Subject, dict[str, Row]], subject: Subject, key: str, row: Row) -> bool:
        rows = target[subject]
        if key not in rows and len(rows) >= MOST_KEYS:
            self._malformed(subject, f"more than {MOST_KEYS} of them")
            return False
        rows[key] = merged = {**rows.get(key, {}), **row}
        if target is self._table:
            self._dirty[subject][key] = merged
        return True

    def _malformed(self, subject: Subject, what: Any) -> None:
        self._link.malformed += 1
        if self._link.malformed <= SHOWN:
            _log.warning("%s: %s that cannot be read: %s", self._name, subject, self._masked(what)[:_SHOWN_LENGTH])
        elif self._link.malformed == SHOWN + 1:
            _log.warning("%s: more that cannot be read is only counted", self._name)

    def _masked(self, what: Any) -> str:
        return self._redaction.text(json.dumps(what, default=str).encode("utf-8", "replace"))


def _key(subject: Subject, name: str, entry: Mapping[str, Any]) -> str | None:
    """What an entry is about; None where it does not tell."""
    if subject is Subject.PROFITABILITY:
        return algorithm_of(name, entry)
    if subject is Subject.WORKERS:
        return worker_key(entry) or name or None
    if subject is Subject.BALANCES:
        coin = entry.get("coin", name)
        return coin if isinstance(coin, str) and coin else None
    return "general" if isinstance(entry.get("total_hashrate_computed_onlys"), Mapping) else None


def _with_hashrate(price: PoolProfitability | None, told: PoolProfitability) -> PoolProfitability:
    return told if price is None else msgspec.structs.replace(price, pool_hashrate_hs=told.pool_hashrate_hs)
