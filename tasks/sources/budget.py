"""The monthly credits of an account: counted, foretold, and refused before they are overdrawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.shared_file import SharedFile
from tasks.sources.source import Request

SLACK = 0.03
"""Part of a month's credits that may be spent ahead of time, nearly a day's: restarts and retries come in bunches."""


_MONTHS_KEPT = 2


class Asked(Protocol):
    """What counts of a request: every so many seconds, at so many credits."""

    @property
    def every_s(self) -> int:
        """Seconds between two."""
        ...

    @property
    def cost(self) -> float:
        """Credits that a success takes."""
        ...


class _Spent(msgspec.Struct, frozen=True):
    month: str = ""
    total: float = 0.0
    credits: float | None = None
    by_request: dict[str, float] = msgspec.field(default_factory=dict)
    others: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """The same of months before: a clock that is set to another month and back must not forget what was spent."""


@dataclass(frozen=True, slots=True)
class Account:
    """How a month's credits stand. ``forecast`` is for the month's end at the requests' intervals; ``until`` Unix
    time of the next month."""

    credits: float
    used: float
    by_request: dict[str, float]
    forecast: float
    until: float

    @property
    def left(self) -> float:
        """Credits left this month."""
        return self.credits - self.used


class Budget:
    """``credits`` a calendar month (UTC) of ``source``, which all processes of a host share by a file in ``folder``.

    What is spent follows the month: a request of rank 0 may go while no more is spent than the month's part so far and
    SLACK of the rest; each further rank has half the slack of the one before, so that it is refused earlier.
    """

    def __init__(
        self, folder: Path, source: str, credits_a_month: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        if credits_a_month <= 0:
            raise ValueError(f"credits_a_month must be positive, got {credits_a_month}")
        self._source = source
        self._credits = credits_a_month
        self._file = SharedFile(_path(folder, source), _Spent)
        self._clock = clock

    def reserve(self, request: Request) -> None:
        """Count ``request`` as spent before it is sent: two processes must not spend the last credit twice.

        Raises:
            SourceFailure: BUDGET; ``retry_after_s`` says when there is credit for it.
        """
        now = self._clock()
        month, start, stop = _month(now)
        with self._file.held() as written:
            spent = msgspec.structs.replace(_of_month(written, month), credits=self._credits)
            part = (now - start) / (stop - start)
            slack = SLACK * 0.5**request.rank
            wanted = (spent.total + request.cost) / self._credits
            if wanted > part + slack * (1 - part):
                due = start + (wanted - slack) / (1 - slack) * (stop - start)
                raise SourceFailure(
                    SourceFailureKind.BUDGET,
                    f"{self._source}: {request.name} is not asked: {spent.total:g} of {self._credits:g} credits of "
                    f"{month} are used and {part:.0%} of it is over",
                    retry_after_s=math.ceil(min(due, stop) - now) + 1.0,  # rounding must not make it a second refusal
                )
            self._file.write(_with(spent, request.name, request.cost))

    def settle(self, request: Request, credits_taken: float) -> None:
        """Put what ``request`` really took in the place of what was reserved."""
        with self._file.held() as spent:
            month, _, _ = _month(self._clock())
            if spent.month == month:
                self._file.write(_with(spent, request.name, credits_taken - request.cost))

    def account(self, requests: Sequence[Request]) -> Account:
        """How it stands, with ``requests`` going on at their intervals."""
        return _account(self._file.read(), self._credits, requests, self._clock())


def kept_account(folder: Path, source: str, requests: Iterable[Asked], now: float) -> Account | None:
    """How the budget of ``source`` that is kept in ``folder`` stands, for who only looks; None where there is none.

    ``requests`` are those of the source, ``now`` Unix seconds.
    """
    spent = SharedFile(_path(folder, source), _Spent).read()
    return None if spent.credits is None else _account(spent, spent.credits, requests, now)


def _account(spent: _Spent, credits_a_month: float, requests: Iterable[Asked], now: float) -> Account:
    month, _, stop = _month(now)
    spent = _of_month(spent, month)
    coming = sum(request.cost * (stop - now) / request.every_s for request in requests)
    return Account(credits_a_month, spent.total, dict(spent.by_request), spent.total + coming, stop)


def _of_month(written: _Spent, month: str) -> _Spent:
    if written.month == month:
        return written
    others = {**written.others, written.month: written.by_request} if written.month else written.others
    by_request = others.get(month, {})
    kept = dict([one for one in others.items() if one[0] != month][-_MONTHS_KEPT:])
    return _Spent(month, sum(by_request.values()), written.credits, by_request, kept)


def _path(folder: Path, source: str) -> Path:
    return folder / f"{source}.credits.json"


def _with(spent: _Spent, name: str, more: float) -> _Spent:
    by_request = {**spent.by_request, name: max(0.0, spent.by_request.get(name, 0.0) + more)}
    return msgspec.structs.replace(spent, total=max(0.0, spent.total + more), by_request=by_request)


def _month(now: float) -> tuple[str, float, float]:
    """Name, start and end of the UTC month of ``now``."""
    start = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    stop = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return f"{start:%Y-%m}", start.timestamp(), stop.timestamp()
