"""When miners were paused or forced to a state by hand, from the events that tell it (``miner_event``).

A shift tells ``override_began`` and ``override_ended`` at the tick that follows. So an override that ran out while the
collector was down lasts, by its events, until the collector was back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.overrides.override import STATES_ON_PURPOSE

_EVENT = MEASUREMENTS["miner_event"]
_KINDS = ("override_began", "override_ended")
_LONGEST_S = 31 * 86_400
"""An override lasts 30 days at most, and its begin is told a tick later."""
_PAUSED = "paused by hand"
_PLANNED = tuple(f"{state} by hand" for state in STATES_ON_PURPOSE)
"""What a miner is forced to on purpose. One that was said to have failed was not meant to."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """``start <= time < stop`` (Unix seconds) in which a miner was off on purpose: ``paused``, so not asked, or else
    forced to maintenance or stopped, and asked as ever."""

    miner_id: str
    start: int
    stop: int
    paused: bool


def stretches_by_hand(store: Store, start: int, stop: int) -> list[Stretch]:
    """Stretches within ``[start, stop)``, cut at its ends, by miner, then time. What has no end yet lasts to ``stop``.

    Raises:
        TryAgain: the store does not answer.
    """
    table = store.read(
        _EVENT,
        Tier.RAW,
        start - _LONGEST_S,
        stop,
        where={"kind": list(_KINDS), "subject": "miner"},
        columns=["severity", "new"],  # an end has no ``new``, and a row of nulls alone is none
    )
    told: dict[str, list[tuple[int, str | None]]] = defaultdict(list)
    columns = (table["miner_id"].to_pylist(), unix_seconds(table).tolist(), table["new"].to_pylist())
    for miner_id, time, new in zip(*columns, strict=True):
        told[miner_id].append((time, new))
    found = [stretch for miner_id in sorted(told) for stretch in _of_miner(miner_id, told[miner_id], start, stop)]
    return [stretch for stretch in found if stretch.start < stretch.stop]


def _of_miner(miner_id: str, told: Sequence[tuple[int, str | None]], start: int, stop: int) -> Iterable[Stretch]:
    """``told``: what holds from each time on, None for nothing."""
    ordered = sorted(told, key=lambda one: one[0])
    for (since, new), until in zip(ordered, [*(time for time, _ in ordered[1:]), stop], strict=True):
        if new is not None and new.startswith((_PAUSED, *_PLANNED)):
            begin = max(since, start)
            yield Stretch(miner_id, begin, max(begin, min(until, stop)), new.startswith(_PAUSED))


def covered_s(
    stretches: Iterable[Stretch], places: Mapping[str, int], starts: npt.NDArray[np.int64], every_s: int
) -> npt.NDArray[np.float64]:
    """Seconds that ``stretches`` cover of the windows of ``every_s`` at ``starts``: a row for each of ``places``."""
    seconds = np.zeros((len(places), len(starts)))
    for one in stretches:
        if one.miner_id in places:
            covered = np.minimum(one.stop, starts + every_s) - np.maximum(one.start, starts)
            seconds[places[one.miner_id]] += np.maximum(covered, 0)
    return seconds


class PausedTime:
    """The time that each of ``names`` was paused."""

    def __init__(self, stretches: Iterable[Stretch], names: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._stretches = [one for one in stretches if one.paused and one.miner_id in self._numbers]

    def moved_up(self, numbers: npt.NDArray[np.int64], times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``times`` (Unix seconds) of the ``names`` of these ``numbers``, later by the pauses that follow: what is left
        of the time up to the last pause's end is a time without pauses. A time within a pause becomes its end."""
        moved = times.astype(np.float64)
        for one in self._stretches:
            of = numbers == self._numbers[one.miner_id]
            ahead = one.stop - np.maximum(times[of], one.start)
            moved[of] += np.maximum(ahead, 0)
        return moved

    def slots(self, begins: npt.NDArray[np.float64], intervals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Slots, multiples of each one's interval from its begin on, that fell into a pause."""
        found = np.zeros(len(begins))
        for one in self._stretches:
            at = self._numbers[one.miner_id]
            every, start = intervals[at], max(one.start, begins[at])
            if not np.isnan(every) and start < one.stop:
                found[at] += np.ceil(one.stop / every) - np.ceil(start / every)
        return found

    def any(self) -> npt.NDArray[np.bool_]:
        """Whether each was paused at all."""
        found = np.zeros(len(self._numbers), dtype=np.bool_)
        found[[self._numbers[one.miner_id] for one in self._stretches]] = True
        return found
