"""What a simulated miner hashed since a start of mining, and what became of it: exact at any instant, in any order."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from deployments.farm.faults import Fault, FaultKind
from deployments.farm.models import Preset
from deployments.farm.physics import Silicon

_STOPS: tuple[FaultKind, ...] = ("paused", "dead")
_SWITCHES_HASHING: tuple[FaultKind, ...] = (
    "board_lost", *_STOPS, "throttled", "fans_held", "fans_slow", "pool_changed", "skimmed", "shares_refused",
)  # fmt: skip
_HELD_RATIO = 0.8
_SLOW_RATIO = 0.9


class Boot(NamedTuple):
    """A start of mining: when, when the first hash came, since when the miner has power, and with which preset.

    Counters begin with it, also where somebody restarted the mining alone and the miner stayed up.
    """

    at: float
    mines_from: float
    up_since: float
    preset: Preset


class Fates(NamedTuple):
    """What becomes of hashes, in parts of them or in numbers: as the miner counts, and as the user's pool does."""

    accepted: float
    rejected: float
    stale: float
    credited: float
    credit_rejected: float
    credit_stale: float


class Stretch(NamedTuple):
    """A time in which the same boards mine, all at ``pace`` of their rate, for the same fates.

    For each board: whether it mines, and at the start, its hashes delivered since boot and its ripple's antiderivative;
    and the rate of each in H/s without its ripple. ``fates`` are parts of what is delivered, ``met`` hashes since boot
    at the start.
    """

    start: float
    mining: tuple[bool, ...]
    delivered: tuple[float, ...]
    ripple: tuple[float, ...]
    pace: float
    fates: Fates
    met: Fates
    rates_hs: tuple[float, ...]


class Hashing:
    """Hashes of one miner. ``rejected`` and ``stale`` are the parts of them that its pool does not pay in good times.

    What was worked out is kept until :meth:`change` is told of other faults, or other boots.
    """

    def __init__(self, silicon: tuple[Silicon, ...], *, rejected: float, stale: float) -> None:
        self.refused = rejected + stale
        """Part that the pool does not pay in good times."""
        self._silicon = silicon
        self._rejected = rejected
        self._stale = stale
        self._accepted = 1 - rejected - stale
        self._faults: Sequence[Fault] = ()
        self._stretches: dict[float, list[Stretch]] = {}

    def change(self, faults: Sequence[Fault]) -> None:
        """Go by these faults; what was derived from those of before is forgotten."""
        self._faults = faults
        self._stretches.clear()

    def stretch(self, boot: Boot, at: float) -> Stretch:
        """The stretch since ``boot`` that an instant lies in."""
        stretches = self._since(boot)
        return stretches[max(0, bisect_right(stretches, at, key=lambda item: item.start) - 1)]

    def delivered(self, stretch: Stretch, at: float) -> tuple[float, ...]:
        """Hashes each board delivered since boot, up to an instant in the stretch."""
        start, mining, before, ripple, pace, _, _, rates = stretch
        return tuple(
            [
                done + pace * rate * board.even_seconds(start, at, rippled) if mines else done
                for mines, done, rippled, rate, board in zip(mining, before, ripple, rates, self._silicon, strict=True)
            ]
        )

    def met_since(self, boot: Boot, at: float) -> Fates:
        """What became of the hashes from a boot to an instant before the next."""
        stretch = self.stretch(boot, at)
        return fates_of(stretch, sum(self.delivered(stretch, at)) if at >= boot.mines_from else 0.0)

    def when_met(self, boot: Boot, fate: str, hashes: float, latest: float) -> float:
        """The instant at which so many hashes had met a fate, by its name in Fates, since boot; see
        :meth:`when_delivered`."""
        place = Fates._fields.index(fate)
        stretches = self._since(boot)
        number = max(0, bisect_right(stretches, hashes, key=lambda item: item.met[place]) - 1)
        while number and not stretches[number].fates[place]:
            number -= 1
        stretch = stretches[number]
        delivered = sum(stretch.delivered) + (hashes - stretch.met[place]) / (stretch.fates[place] or 1.0)
        return self.when_delivered(boot, delivered, latest)

    def when_delivered(self, boot: Boot, hashes: float, latest: float) -> float:
        """The instant at which so many hashes had been delivered since boot, by Newton on an almost straight line.

        No later than ``latest``.
        """
        stretches = self._since(boot)
        number = max(0, bisect_right(stretches, hashes, key=lambda item: sum(item.delivered)) - 1)
        # Nothing is delivered while no board mines: then the hashes came at the end of the stretch before.
        while number and not (any(stretches[number].mining) and stretches[number].pace):
            number -= 1
        stretch = stretches[number]
        end = min(latest, stretches[number + 1].start) if number + 1 < len(stretches) else latest
        rate = stretch.pace * sum(rate for rate, on in zip(stretch.rates_hs, stretch.mining, strict=True) if on)
        if not rate:
            return end
        at = end  # the newest share is never far from it, so that two steps come within milliseconds
        for _ in range(2):
            at += (hashes - sum(self.delivered(stretch, at))) / rate
        return min(max(at, stretch.start), end)

    def _since(self, boot: Boot) -> list[Stretch]:
        """All times of unchanged mining from a boot on, also those to come."""
        if (known := self._stretches.get(boot.at)) is not None:
            return known
        relevant = [fault for fault in self._faults if fault.kind in _SWITCHES_HASHING]
        edges = {boot.mines_from} | {
            edge for fault in relevant for edge in fault.span if boot.mines_from < edge < float("inf")
        }
        boards = len(self._silicon)
        delivered, met_so_far = (0.0,) * boards, Fates(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        ideal_hs = boot.preset.hashrate_hs / boards
        rates = tuple(ideal_hs * board.efficiency for board in self._silicon)
        stretches: list[Stretch] = []
        for edge in sorted(edges):
            if stretches:
                delivered = self.delivered(stretches[-1], edge)
                met_so_far = fates_of(stretches[-1], sum(delivered))
            on = [fault for fault in relevant if fault.active(edge)]
            stopped = any(fault.kind in _STOPS for fault in on)
            lost = {fault.board for fault in on if fault.kind == "board_lost"}
            mining = tuple(not stopped and number not in lost for number in range(1, boards + 1))
            ripple = tuple(board.hashrate_ripple.antiderivative(edge) for board in self._silicon)
            stretches.append(Stretch(edge, mining, delivered, ripple, _pace(on), self._fates(on), met_so_far, rates))
        if len(self._stretches) > 64:
            self._stretches.clear()
        self._stretches[boot.at] = stretches
        return stretches

    def _fates(self, on: list[Fault]) -> Fates:
        """What becomes of hashes while these faults are on."""
        refused = max((fault.ratio or 0.0 for fault in on if fault.kind == "shares_refused"), default=0.0)
        arrives = math.prod(1.0 - (fault.ratio or 0.0) for fault in on if fault.kind == "skimmed")
        own = 0.0 if any(fault.kind == "pool_changed" for fault in on) else 1.0
        told = (
            self._accepted * (1 - refused) * arrives,
            (self._rejected + self._accepted * refused) * arrives,
            self._stale * arrives,
        )
        return Fates(*told, *(own * part for part in told))


def fates_of(stretch: Stretch, delivered: float) -> Fates:
    """What became of the hashes since boot, ``delivered`` of which are there at an instant of the stretch."""
    news = delivered - sum(stretch.delivered)
    return Fates(*(before + part * news for before, part in zip(stretch.met, stretch.fates, strict=True)))


def _pace(on: list[Fault]) -> float:
    """Part of their rate that boards deliver while these faults are on."""
    slowed = [fault.ratio or 0.0 for fault in on if fault.kind == "throttled"]
    slowed += [_HELD_RATIO for fault in on if fault.kind == "fans_held"]
    slowed += [_SLOW_RATIO for fault in on if fault.kind == "fans_slow"]
    return min(slowed, default=1.0)
