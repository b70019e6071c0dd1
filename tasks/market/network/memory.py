"""What explorers said in the last seven days, and how often they refused: one file of a host, over restarts.

A sample an hour for each source and coin, and the newest. Also implausible ones are remembered: where a network has
really changed, they become the median, and so pass, after half a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from storage.records.market import NetworkData
from tasks.market.network.judging import WEEK_S, Sample, judge, sample_of
from tasks.sources.shared_file import SharedFile

HOUR_S = 3_600


class _Kept(msgspec.Struct, frozen=True):
    samples: list[Sample] = msgspec.field(default_factory=list)
    refusals: dict[str, int] = msgspec.field(default_factory=dict)


class NetworkMemory:
    """Memory in ``folder`` (``<data>/state``), which all explorers of a host share."""

    def __init__(self, folder: Path) -> None:
        self._file = SharedFile(folder / "networks.json", _Kept)

    def judge(self, source: str, told: Sequence[NetworkData], slot: int) -> list[NetworkData]:
        """Judge what ``source`` told at ``slot``, remember it, and that it answers. The same again changes nothing."""
        with self._file.held() as kept:
            judged = [judge(one, kept.samples) for one in told]
            refusals = {name: times for name, times in kept.refusals.items() if name != source}
            self._file.write(_Kept(_thinned(kept.samples, [sample_of(one) for one in judged], slot), refusals))
        return judged

    def samples(self, coin_id: str) -> list[Sample]:
        """What all sources said of a coin in the last seven days."""
        return [one for one in self._file.read().samples if one.coin_id == coin_id]

    def refused(self, source: str) -> int:
        """Note that ``source`` said that it was asked too often; how many times in a row it has."""
        with self._file.held() as kept:
            times = kept.refusals.get(source, 0) + 1
            self._file.write(_Kept(kept.samples, {**kept.refusals, source: times}))
        return times


def _thinned(past: Sequence[Sample], new: Sequence[Sample], slot: int) -> list[Sample]:
    """The newest sample of each hour, source and coin; none of times to come, which a clock that ran ahead has left."""
    latest = {
        (one.source, one.coin_id, one.time // HOUR_S): one
        for one in sorted([*past, *new], key=lambda one: one.time)
        if slot - WEEK_S < one.time <= slot + HOUR_S
    }
    return list(latest.values())
