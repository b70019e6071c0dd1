"""When miners and sources were paused, or miners forced to a state, by hand: from the events that tell it
(``miner_event``, ``source_event``).

A shift tells ``override_began`` and ``override_ended`` at the tick that follows. So an override that ran out while the
collector was down lasts, by its events, until the collector was back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store, Where
from tasks.overrides.override import STATES_ON_PURPOSE

EVENT_KINDS = ("override_began", "override_ended")
LONGEST_S = 31 * 86_400
"""An override lasts 30 days at most, and its begin is told a tick later."""
_PAUSED = "paused by hand"
_PLANNED = tuple(f"{state} by hand" for state in STATES_ON_PURPOSE)
"""What a miner is forced to on purpose. One that was said to have failed was not meant to."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """``start <= time < stop`` (Unix seconds) in which a miner or source was off on purpose: ``paused``, so not asked,
    or else, of a miner, forced to maintenance or stopped, and asked as ever. ``words``: the override as it was told."""

    subject: str
    start: int
    stop: int
    paused: bool
    words: str = field(default="", compare=False)


def stretches_by_hand(store: Store, start: int, stop: int) -> list[Stretch]:
    """Stretches of miners within ``[start, stop)``, cut at its ends, by miner, then time. What has no end yet lasts to
    ``stop``.

    Raises:
        TryAgain: the store does not answer.
    """
    told = _told(store, "miner_event", ("miner_id",), start, stop, where={"subject": "miner"})
    return [one for key in sorted(told) for one in _stretches(key[0], told[key], start, stop)]


def pauses_of_sources(store: Store, start: int, stop: int) -> list[Stretch]:
    """The same of pools and providers, by source, then time. Where several hosts ask one, a pause on any of them
    counts, and what two of them had at the same time counts once.

    Raises:
        TryAgain: the store does not answer.
    """
    told = _told(store, "source_event", ("source", "host"), start, stop)
    every = [one for key, news in told.items() for one in _stretches(key[0], news, start, stop)]
    found: list[Stretch] = []
    for one in sorted(every, key=lambda one: (one.subject, one.start, one.stop)):
        free = max(one.start, found[-1].stop) if found and found[-1].subject == one.subject else one.start
        if free < one.stop:
            found.append(Stretch(one.subject, free, one.stop, one.paused, one.words))
    return found


_News = list[tuple[int, str | None]]
"""Times, and what holds from each of them on, None for nothing."""


def _told(
    store: Store, measurement: str, by: Sequence[str], start: int, stop: int, *, where: Where | None = None
) -> dict[tuple[str, ...], _News]:
    table = store.read(
        MEASUREMENTS[measurement],
        Tier.RAW,
        start - LONGEST_S,
        stop,
        where={"kind": list(EVENT_KINDS), **(where or {})},
        columns=["severity", "new"],  # an end has no ``new``, and a row of nulls alone is none
    )
    told: dict[tuple[str, ...], _News] = defaultdict(list)
    keys = zip(*(table[name].to_pylist() for name in by), strict=True)
    for key, time, new in zip(keys, unix_seconds(table).tolist(), table["new"].to_pylist(), strict=True):
        told[key].append((time, new))
    return told


def _stretches(subject: str, told: _News, start: int, stop: int) -> Iterator[Stretch]:
    ordered = sorted(told, key=lambda one: one[0])
    for (since, new), until in zip(ordered, [*(time for time, _ in ordered[1:]), stop], strict=True):
        if new is not None and new.startswith((_PAUSED, *_PLANNED)):
            begin, end = max(since, start), min(until, stop)
            if begin < end:
                yield Stretch(subject, begin, end, new.startswith(_PAUSED), new)


def covered_s(
    stretches: Iterable[Stretch], places: Mapping[str, int], starts: npt.NDArray[np.int64], every_s: int
) -> npt.NDArray[np.float64]:
    """Seconds that ``stretches`` cover of the windows of ``every_s`` at ``starts``: a row for each of ``places``, which
    are numbers of miners by their ids."""
    seconds = np.zeros((len(places), len(starts)))
    for one in stretches:
        if one.subject in places:
            covered = np.minimum(one.stop, starts + every_s) - np.maximum(one.start, starts)
            seconds[places[one.subject]] += np.maximum(covered, 0)
    return seconds


class PausedTime:
    """The time that each of ``names`` was paused."""

    def __init__(self, stretches: Iterable[Stretch], names: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._stretches = [one for one in stretches if one.paused and one.subject in self._numbers]

    def moved_up(self, numbers: npt.NDArray[np.int64], times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``times`` (Unix seconds) of the ``names`` of these ``numbers``, later by the pauses that follow: what is left
        of the time up to the last pause's end is a time without pauses. A time within a pause becomes its end."""
        moved = times.astype(np.float64)
        for one in self._stretches:
            of = numbers == self._numbers[one.subject]
            ahead = one.stop - np.maximum(times[of], one.start)
            moved[of] += np.maximum(ahead, 0)
        return moved

    def slots(self, begins: npt.NDArray[np.float64], intervals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Slots, multiples of each one's interval from its begin on, that fell into a pause."""
        found = np.zeros(len(begins))
        for one in self._stretches:
            at = self._numbers[one.subject]
            every, start = intervals[at], max(one.start, begins[at])
            if not np.isnan(every) and start < one.stop:
                found[at] += np.ceil(one.stop / every) - np.ceil(start / every)
        return found

    def any(self) -> npt.NDArray[np.bool_]:
        """Whether each was paused at all."""
        found = np.zeros(len(self._numbers), dtype=np.bool_)
        found[[self._numbers[one.subject] for one in self._stretches]] = True
        return found
