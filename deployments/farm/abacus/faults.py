"""What goes wrong on request, at which calls and how often."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "error_500",
    "rate_limited",
    "html",
    "cut",
    "lost",
    "slow",
    "outage",
    "wrong_md5",
    "join_failed",
    "import_failed",
    "rows_short",
    "torn",
    "prediction_failed",
    "monitor_failed",
    "strange_distribution",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
"""``error_500``, ``rate_limited`` (429 with Retry-After), ``html`` (a page with status 200): instead of doing anything;
``cut``: the connection ends amid the request, nothing is done; ``lost``: all is done and the answer does not come;
``slow``: the answer comes after ``seconds``; ``outage``: every connection ends at once; ``wrong_md5``: a part is kept
damaged, and the MD5 of that is told; ``join_failed``, ``import_failed``: an upload, a version ends as FAILED;
``rows_short``: the last row of a version is not imported, without a word; ``torn``: the connection ends amid the
answer; ``prediction_failed``, ``monitor_failed``: a batch prediction, a run of a monitor ends as FAILED;
``strange_distribution``: a distribution in a form that nobody knows."""


@dataclass(slots=True)
class Fault:
    """One fault. ``method``: at which call, None at any; ``part``: at which part of an upload; ``times``: how often;
    ``at``: which part of a request or an answer goes before it is cut or torn.
    """

    kind: FaultKind
    method: str | None = None
    part: int | None = None
    times: int = 1
    seconds: float = 0.0
    at: float = 0.5


class Faults:
    """Faults to come. The first one that fits is taken, and is used up after its ``times``."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)
        self._guard = threading.Lock()
        self._dice: random.Random | None = None
        self._rate = 0.0
        self._kinds: tuple[FaultKind, ...] = ()
        self.taken: list[tuple[str, FaultKind]] = []

    def add(self, *faults: Fault) -> None:
        """Have these come too."""
        with self._guard:
            self._faults += faults

    def clear(self) -> None:
        """Have none come any more."""
        with self._guard:
            self._faults.clear()
            self._dice = None

    def at_random(self, dice: random.Random, rate: float, kinds: Iterable[FaultKind]) -> None:
        """Have each call go wrong with probability ``rate``, in one of the ways ``kinds`` that it can."""
        with self._guard:
            self._dice, self._rate, self._kinds = dice, rate, tuple(kinds)

    def take(self, method: str, kinds: Iterable[FaultKind], part: int | None = None) -> Fault | None:
        """The fault that is due at this call, of these kinds; None: all goes well."""
        wanted = tuple(kinds)
        with self._guard:
            for fault in self._faults:
                fits = fault.kind in wanted and fault.method in (None, method) and fault.part in (None, part)
                if fits and fault.times > 0:
                    fault.times -= 1
                    self.taken.append((method, fault.kind))
                    return fault
            could = [kind for kind in self._kinds if kind in wanted]
            if self._dice is not None and could and self._dice.random() < self._rate:
                kind = self._dice.choice(could)
                self.taken.append((method, kind))
                return Fault(kind)
        return None
