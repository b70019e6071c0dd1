"""One figure of the bench: measured against a baseline in the same run, printed as one JSON line."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``ratio`` or ``value`` beside its ``target``; ``ok`` is None where the run could not judge, ``note`` says why."""

    name: str
    ratio: float | None = None
    value: float | None = None
    unit: str = ""
    target: str
    ok: bool | None
    note: str = ""

    def line(self) -> str:
        """The figure as one line of JSON."""
        return msgspec.json.encode(self).decode()


@dataclass(slots=True)
class Cost:
    """What a block cost: wall and CPU seconds (user + system) of this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def cost() -> Iterator[Cost]:
    """Measure a block."""
    spent = Cost()
    before, started = _cpu(), time.perf_counter()
    try:
        yield spent
    finally:
        spent.wall_s, spent.cpu_s = time.perf_counter() - started, _cpu() - before


def median_cost(act: Callable[[], object], runs: int = 5) -> Cost:
    """Median wall and CPU seconds of ``act`` over ``runs`` runs, after one that is not counted."""
    act()
    costs = []
    for _ in range(runs):
        with cost() as spent:
            act()
        costs.append(spent)
    return Cost(statistics.median(c.wall_s for c in costs), statistics.median(c.cpu_s for c in costs))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
