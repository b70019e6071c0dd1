"""The detector on the stream: every tick's readings against a day before them, and against the peers.

The median of the day is renewed for a twelfth of the miners at each window. Times come with the readings, there is no
clock here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.frame import Frame, build_frame
from storage.records.events import MinerEvent
from storage.records.miner import Miner, MinerTelemetry
from tasks.derive.anomaly.intake import set_off, take
from tasks.derive.anomaly.judging import Judgement, judge
from tasks.derive.anomaly.memory import DAY_S, HOUR_S, PARTS, Memory
from tasks.derive.anomaly.own_history import LEAST_POINTS, TAILS, Floats, median_and_mad
from tasks.derive.anomaly.peers import peer_medians
from tasks.derive.anomaly.readings import SIGNALS, STEPS, TEMPERATURE, VALUES, Readings, Usual
from tasks.derive.anomaly.scoring import WARN_Z, Sensitivity, lasting, plain, remembered

RENEWALS = 12
"""Windows within which every miner's median is renewed once."""
HALF_LIFE_S = 43_200.0
"""Of what is remembered of its usual share of refused shares."""
LEAST_COUNTED = 200.0
"""Shares that must be known for that."""
SET_BACK_S = 600
"""A slot so much before the newest one comes of a clock that was ahead, and not of a tick that is told again."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a tick showed. ``changed``: by miner, the reasons where an anomaly began, None where one ended. ``frames``
    are scores of the window that ended before the tick."""

    events: tuple[MinerEvent, ...] = ()
    frames: tuple[Frame, ...] = ()
    changed: dict[str, str | None] = field(default_factory=dict)


class Watch:
    """Detector for ``miners``.

    Args:
        window_s: length of the window.
        sensitivity: what deviations are multiplied with.
        threshold: overall score from which a reading is odd; three odd ones of five make an anomaly.
    """

    def __init__(
        self,
        miners: Sequence[Miner],
        *,
        window_s: int = 300,
        sensitivity: Sensitivity = "medium",
        threshold: float = 0.8,
    ) -> None:
        self.memory = Memory(miners, window_s)
        self._sensitivity, self._threshold = sensitivity, threshold
        self._newest: Judgement | None = None
        self._heard = np.zeros(len(miners), dtype=bool)

    @property
    def anomalous(self) -> frozenset[str]:
        """Miners that are."""
        return frozenset(self.memory.miners[row].miner_id for row in np.flatnonzero(self.memory.of["odd"]).tolist())

    def look(self, slot: int, records: Sequence[MinerTelemetry], off: Collection[str] = ()) -> Watched:
        """Take the readings of one tick in; ``slot`` is its time. Not again for the same or an earlier one; readings of
        miners that are not watched are left out. A clock that is
        set back is followed. ``off``: miners that are off on purpose by hand; they are not judged,
        nor for a while after that."""
        memory = self.memory
        ours = [record for record in records if record.miner.miner_id in memory.rows]
        if memory.slot is not None and slot <= memory.slot:
            if memory.slot - slot < SET_BACK_S:
                return Watched()
            memory.set_back(slot)
            self._heard[:] = False
        set_off(memory, slot, off)
        if not ours:
            return Watched()
        frames = self._turn(slot)
        rows = np.array([memory.rows[record.miner.miner_id] for record in ours])
        take(memory, slot, rows, ours)
        judged = judge(self._readings(slot), self._usual(slot), self._sensitivity)
        self._newest = judged
        self._heard[rows] = True
        self._repeats(slot, rows, judged.z[:, rows])
        return self._concluded(slot, rows, judged, frames)

    def _turn(self, slot: int) -> tuple[Frame, ...]:
        """Begin a new part, and a new window, where ``slot`` lies in one; the scores of the window that is over."""
        before, self.memory.slot = self.memory.slot, slot
        if before is None:
            return ()
        frames: tuple[Frame, ...] = ()
        if slot // self.memory.window_s != before // self.memory.window_s:
            frames = self._window_over(before // self.memory.window_s, slot // self.memory.window_s)
        for columns in _passed(before // self.memory.part_s, slot // self.memory.part_s, PARTS):
            self.memory.of["sums"][:, columns] = 0.0
            self.memory.of["counts"][:, columns] = 0.0
        return frames

    def _window_over(self, old: int, new: int) -> tuple[Frame, ...]:
        of = self.memory.of
        windows, hour = of["room"].shape[0], of["growth"].shape[1]
        values = self.memory.window()
        of["day"][:, old % windows] = values
        of["room"][old % windows] = peer_medians(values[TEMPERATURE], self.memory.group())
        for column in _passed(old, new, windows):
            if column != old % windows:
                of["day"][:, column] = np.nan
                of["room"][column] = np.nan
        self._renew(np.arange(old % RENEWALS, len(self.memory.miners), RENEWALS))
        fading = 0.5 ** ((new - old) * self.memory.window_s / HALF_LIFE_S)
        columns = _passed(old, new, hour)
        of["usual_shares"][:] = fading * of["usual_shares"] + of["growth"][:, columns].sum(axis=1)
        of["growth"][:, columns] = 0.0  # an hour ago, so usual by now
        frames = self._scores(old * self.memory.window_s)
        self._heard[:] = False
        return frames

    def _renew(self, rows: NDArray[np.int64]) -> None:
        of = self.memory.of
        for signal in range(VALUES):
            history = of["day"][signal][:, rows].T.astype(np.float64)
            middle, spread, points = median_and_mad(history, STEPS[signal], TAILS)
            if signal == TEMPERATURE:  # what all peers share is the room
                _, alone, beside = median_and_mad(history - of["room"][:, rows].T, STEPS[signal], TAILS)
                spread = np.where(beside >= LEAST_POINTS, np.maximum(alone, 0.01 * middle), spread)
            enough = points >= LEAST_POINTS
            of["middle"][signal, rows] = np.where(enough, middle, np.nan)
            of["spread"][signal, rows] = np.where(enough, spread, np.nan)

    def _readings(self, slot: int) -> Readings:
        of = self.memory.of
        growth = of["growth"].sum(axis=1).astype(np.float64)
        return Readings(
            working=of["working"],
            values=self.memory.window(),
            reference=of["reference"],
            boards_lost=of["boards_lost"],
            fans=of["fans"],
            other_pool=of["other_pool"],
            accepted=growth[0],
            refused=growth[1],
            whole_hour=(of["since"] > 0) & (slot - of["since"] >= HOUR_S),
            still=of["still"],
            unit_wrong=of["unit_wrong"],
            group=self.memory.group(),
        )

    def _usual(self, slot: int) -> Usual:
        of = self.memory.of
        counted = of["usual_shares"].sum(axis=0) >= LEAST_COUNTED
        an_hour = np.log(2) * HOUR_S / HALF_LIFE_S
        shares = np.where(counted, an_hour * of["usual_shares"], np.nan)
        return Usual(
            middle=of["middle"],
            spread=of["spread"],
            fans=of["usual_fans"],
            boards_lost=of["usual_lost"],
            accepted=shares[0],
            refused=shares[1],
            known=np.where(of["known_until"] > slot, of["known"], 0.0),
        )

    def _repeats(self, slot: int, rows: NDArray[np.int64], z: Floats) -> None:
        """Remember for a day how far a deviation went that is over; one that goes on is news all the while."""
        of = self.memory.of
        size = np.nan_to_num(np.abs(z))
        peak, at = of["peak"][:, rows], of["peak_at"][:, rows]
        over = (peak > 0) & (slot - at >= HOUR_S)
        known = np.where(of["known_until"][:, rows] > slot, of["known"][:, rows], 0.0)
        of["known"][:, rows] = np.where(over, np.maximum(known, peak), known)
        of["known_until"][:, rows] = np.where(over, slot + DAY_S, of["known_until"][:, rows])
        odd = size >= WARN_Z
        of["peak"][:, rows] = np.where(odd, np.maximum(np.where(over, 0.0, peak), size), np.where(over, 0.0, peak))
        of["peak_at"][:, rows] = np.where(odd, slot, at)

    def _concluded(self, slot: int, rows: NDArray[np.int64], judged: Judgement, frames: tuple[Frame, ...]) -> Watched:
        of = self.memory.of
        # Of a miner that is not at work nothing new is known: it stays what it was. One that is, and of which there is
        # too little to judge, can no longer have what was found before.
        rows = rows[of["working"][rows] & (~np.isnan(judged.overall[rows]) | of["odd"][rows])]
        before = of["odd"][rows]
        of["bits"][rows] = remembered(of["bits"][rows], judged.overall[rows] >= self._threshold)
        of["odd"][rows] = lasting(of["bits"][rows], before)
        events, changed = [], {}
        for row in rows[of["odd"][rows] != before].tolist():
            miner, began = self.memory.miners[row], bool(of["odd"][row])
            reasons, score = judged.reasons(row), float(judged.overall[row])
            changed[miner.miner_id] = (reasons or "odd of late") if began else None
            events.append(
                MinerEvent(
                    time=slot,
                    miner=miner,
                    kind="anomaly_began" if began else "anomaly_ended",
                    subject="anomaly",
                    severity="warning" if began else "info",
                    message=f"{miner.miner_id} {f'is odd: {reasons}' if began else 'is as usual again'}",
                    new=None if math.isnan(score) else f"{score:.2f}",
                )
            )
        return Watched(tuple(events), frames, changed)

    def _scores(self, time: int) -> tuple[Frame, ...]:
        judged, rows = self._newest, np.flatnonzero(self._heard).tolist()
        if judged is None or not rows:
            return ()
        columns: dict[str, list[Any]] = {
            "miner_id": [self.memory.miners[row].miner_id for row in rows],
            "time_period": [f"{self.memory.window_s}s"] * len(rows),
            **{name: plain(judged.scores[number, rows]) for number, name in enumerate(SIGNALS)},
            "overall": plain(judged.overall[rows]),
            "anomalous": [
                None if unknown else odd
                for odd, unknown in zip(
                    self.memory.of["odd"][rows].tolist(), np.isnan(judged.overall[rows]).tolist(), strict=True
                )
            ],
            "reasons": [judged.reasons(row) for row in rows],
        }
        return (build_frame("anomaly_score", [time] * len(rows), columns),)


def _passed(old: int, new: int, columns: int) -> list[int]:
    """Columns of a ring that begin anew when number ``old`` is followed by ``new``."""
    return [number % columns for number in range(max(old + 1, new - columns + 1), new + 1)]
