"""The detector on the stream: every tick's readings against a day before them, and against the peers.

State is arrays over the whole fleet, some 3 kB a miner: the window in five parts, of which a new one pushes out the
oldest; a day of windows (float16, hashrate and power as ratios) and their median, which is renewed for a twelfth of the
miners at each window; shares of the last hour by windows. Times come with the readings, there is no clock here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.frame import Frame, build_frame
from storage.records.events import MinerEvent
from storage.records.miner import Miner, MinerTelemetry
from tasks.derive.anomaly.flatline import LEAST_TICKS, run_step
from tasks.derive.anomaly.judging import Judgement, judge
from tasks.derive.anomaly.own_history import LEAST_POINTS, TAILS, Floats, median_and_mad
from tasks.derive.anomaly.peers import peer_medians
from tasks.derive.anomaly.readings import SIGNALS, STEPS, TEMPERATURE, VALUES, Bools, Readings, Usual
from tasks.derive.anomaly.scoring import WARN_Z, Sensitivity, lasting, remembered
from tasks.miners.events import pool_in_use

DAY_S, HOUR_S = 86_400, 3_600
PARTS = 5
"""Parts of a window."""
RENEWALS = 12
"""Windows within which every miner's median is renewed once."""
FRESH_S = 900
"""A miner that started so many seconds ago has not settled: it warms up and tunes."""
OTHER_PRESET = 0.02
"""Relative change of what a preset promises from which it is another one, and its history begins anew."""
HALF_LIFE_S = 43_200.0
"""Of what is remembered of its usual share of refused shares."""
LEAST_COUNTED = 200.0
"""Shares that must be known for that."""

_HASHES = frozenset({"mining", "degraded", "failed"})
_UNIT_FLAGS = ("unit_suspect", "implausible:hashrate_hs")
_told = attrgetter(
    "hashrate_hs", "hashrate_nominal_hs", "chip_temp_max_c", "pcb_temp_max_c", "power_w", "power_limit_w",
    "boards_mining", "boards_expected", "fans_running", "shares_accepted", "shares_rejected", "shares_stale",
)  # fmt: skip


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
        self._miners = tuple(miners)
        self._rows = {miner.miner_id: row for row, miner in enumerate(self._miners)}
        self._window_s, self._sensitivity, self._threshold = window_s, sensitivity, threshold
        self._part_s = max(window_s // PARTS, 1)
        self._kinds = np.unique([f"{miner.model}\n{miner.site}" for miner in self._miners], return_inverse=True)[1]
        self._slot: int | None = None
        self._newest: Judgement | None = None
        self._heard = np.zeros(len(self._miners), dtype=bool)
        self._pools: list[list[str | None]] = [[None, None] for _ in self._miners]
        self._of = self._blank()

    def _blank(self) -> dict[str, NDArray[Any]]:
        """All that is remembered, by name; the miner is the last axis."""
        number, windows = len(self._miners), max(DAY_S // self._window_s, 1)
        hour = max(-(-HOUR_S // self._window_s), 1)

        def unknown(*shape: int, kind: Any = np.float64) -> NDArray[Any]:
            return np.full((*shape, number), np.nan, dtype=kind)

        def zero(*shape: int, kind: Any = np.float64) -> NDArray[Any]:
            return np.zeros((*shape, number), dtype=kind)

        return {
            "day": unknown(VALUES, windows, kind=np.float16),
            "room": unknown(windows, kind=np.float16),
            "sums": zero(VALUES, PARTS, kind=np.float32),
            "counts": zero(VALUES, PARTS, kind=np.float32),
            "middle": unknown(VALUES),
            "spread": unknown(VALUES),
            "reference": unknown(2),
            "growth": zero(2, hour, kind=np.float32),
            "counters": unknown(2),
            "usual_shares": zero(2),
            "working": zero(kind=bool),
            "unit_wrong": zero(kind=bool),
            "boards_lost": unknown(),
            "usual_lost": zero(),
            "lost_since": zero(kind=np.int64),
            "fans": unknown(),
            "usual_fans": unknown(),
            "fans_since": zero(kind=np.int64),
            "other_pool": zero(kind=bool),
            "pool_since": zero(kind=np.int64),
            "still": zero(kind=np.int64),
            "last": unknown(),
            "peak": zero(VALUES),
            "peak_at": zero(VALUES, kind=np.int64),
            "known": zero(VALUES),
            "known_until": zero(VALUES, kind=np.int64),
            "bits": zero(kind=np.uint8),
            "odd": zero(kind=bool),
        }

    @property
    def anomalous(self) -> frozenset[str]:
        """Miners that are."""
        return frozenset(self._miners[row].miner_id for row in np.flatnonzero(self._of["odd"]).tolist())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that is known, for :meth:`recall`; its arrays are those in use, so write them before the next tick."""
        pools = np.array(self._pools, dtype=np.str_) if self._miners else np.empty((0, 2), dtype=np.str_)
        return {
            **self._of,
            "miners": np.array([miner.miner_id for miner in self._miners], dtype=np.str_),
            "pools": np.where(pools == "None", "", pools),
            "times": np.array([self._window_s, -1 if self._slot is None else self._slot], dtype=np.int64),
        }

    def recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what another one knew of the same miners. Of another length of window nothing is of use.

        Raises:
            ValueError: it is not what this version writes.
        """
        if {"times", "miners", "pools"} - state.keys() or state["times"].shape != (2,):
            raise ValueError("it is no state of a detector")
        window_s, slot = state["times"].tolist()
        if window_s != self._window_s or slot < 0:
            return
        for name, own in self._of.items():
            if name not in state or state[name].shape[:-1] != own.shape[:-1] or state[name].dtype != own.dtype:
                raise ValueError(f"its {name} is of another version")
        known = [(row, self._rows[name]) for row, name in enumerate(state["miners"].tolist()) if name in self._rows]
        theirs, ours = np.array(known, dtype=np.int64).reshape(-1, 2).T
        for name, own in self._of.items():
            own[..., ours] = state[name][..., theirs]
        for row, own_row in known:
            self._pools[own_row] = [url or None for url in state["pools"][row].tolist()]
        self._slot = int(slot)

    @property
    def bytes_per_miner(self) -> float:
        """Memory of the state."""
        return sum(array.nbytes for array in self._of.values()) / max(len(self._miners), 1)

    def look(self, slot: int, records: Sequence[MinerTelemetry]) -> Watched:
        """Take the readings of one tick in; ``slot`` is its time. Not again for the same or an earlier one; readings of
        miners that are not watched are left out."""
        ours = [record for record in records if record.miner.miner_id in self._rows]
        if (self._slot is not None and slot <= self._slot) or not ours:
            return Watched()
        frames = self._turn(slot)
        rows = np.array([self._rows[record.miner.miner_id] for record in ours])
        self._take(slot, rows, ours)
        judged = judge(self._readings(), self._usual(slot), self._sensitivity)
        self._newest = judged
        self._heard[rows] = True
        self._repeats(slot, rows, judged.z[:, rows])
        return self._concluded(slot, rows, judged, frames)

    def _turn(self, slot: int) -> tuple[Frame, ...]:
        """Begin a new part, and a new window, where ``slot`` lies in one; the scores of the window that is over."""
        before, self._slot = self._slot, slot
        if before is None:
            return ()
        frames: tuple[Frame, ...] = ()
        if slot // self._window_s != before // self._window_s:
            frames = self._window_over(before // self._window_s, slot // self._window_s)
        for columns in _passed(before // self._part_s, slot // self._part_s, PARTS):
            self._of["sums"][:, columns] = 0.0
            self._of["counts"][:, columns] = 0.0
        return frames

    def _window_over(self, old: int, new: int) -> tuple[Frame, ...]:
        of = self._of
        windows, hour = of["room"].shape[0], of["growth"].shape[1]
        values = self._window()
        of["day"][:, old % windows] = values
        of["room"][old % windows] = peer_medians(values[TEMPERATURE], self._group())
        for column in _passed(old, new, windows):
            if column != old % windows:
                of["day"][:, column] = np.nan
                of["room"][column] = np.nan
        self._renew(np.arange(old % RENEWALS, len(self._miners), RENEWALS))
        fading = 0.5 ** ((new - old) * self._window_s / HALF_LIFE_S)
        columns = _passed(old, new, hour)
        of["usual_shares"][:] = fading * of["usual_shares"] + of["growth"][:, columns].sum(axis=1)
        of["growth"][:, columns] = 0.0  # an hour ago, so usual by now
        frames = self._scores(old * self._window_s)
        self._heard[:] = False
        return frames

    def _renew(self, rows: NDArray[np.int64]) -> None:
        of = self._of
        for signal in range(VALUES):
            history = of["day"][signal][:, rows].T.astype(np.float64)
            middle, spread, points = median_and_mad(history, STEPS[signal], TAILS)
            if signal == TEMPERATURE:  # what all peers share is the room
                _, alone, beside = median_and_mad(history - of["room"][:, rows].T, STEPS[signal], TAILS)
                spread = np.where(beside >= LEAST_POINTS, np.maximum(alone, 0.01 * middle), spread)
            enough = points >= LEAST_POINTS
            of["middle"][signal, rows] = np.where(enough, middle, np.nan)
            of["spread"][signal, rows] = np.where(enough, spread, np.nan)

    def _take(self, slot: int, rows: NDArray[np.int64], records: Sequence[MinerTelemetry]) -> None:
        of = self._of
        columns = [np.array(column, dtype=np.float64) for column in zip(*map(_told, records), strict=True)]
        rate, nominal, chip, pcb, power, limit, mining, boards, fans, accepted, rejected, stale = columns
        flags = [record.quality_flags or "" for record in records]
        working = np.array(
            [
                record.reachable and record.state in _HASHES and (record.uptime_s is None or record.uptime_s >= FRESH_S)
                for record in records
            ],
            dtype=bool,
        )
        of["working"][rows] = working
        of["unit_wrong"][rows] = [any(word in flag for word in _UNIT_FLAGS) for flag in flags]
        self._refer(rows, (nominal, limit), (rate, power), working)
        heat = np.where(np.isnan(chip), pcb, chip)
        scaled = np.stack([rate / of["reference"][0, rows], heat, power / of["reference"][1, rows]])
        scaled[:, ~working] = np.nan
        of["sums"][:, :, rows[~working]] = 0.0  # what it was before it stopped says nothing of how it works now
        of["counts"][:, :, rows[~working]] = 0.0
        part = slot // self._part_s % PARTS
        of["sums"][:, part, rows] += np.nan_to_num(scaled)
        of["counts"][:, part, rows] += ~np.isnan(scaled)
        rate[rate == 0.0] = np.nan  # nothing is not a reading that stands still
        run = run_step(of["still"][rows], of["last"][rows], rate)
        of["last"][rows] = rate
        of["still"][rows] = np.where(["stale" in flag.split(",") for flag in flags], LEAST_TICKS, run)
        self._count(slot, rows, accepted, rejected + np.nan_to_num(stale))
        of["boards_lost"][rows] = boards - mining
        of["fans"][rows] = fans
        told = rows[working]
        _settle(of, ("boards_lost", "usual_lost", "lost_since"), told, slot, better=-1)
        _settle(of, ("fans", "usual_fans", "fans_since"), told, slot, better=1)
        self._pool(slot, rows, records)

    def _refer(
        self, rows: NDArray[np.int64], promised: tuple[Floats, Floats], seen: tuple[Floats, Floats], working: Bools
    ) -> None:
        """Set what hashrate and power are ratios to: what the preset promises, else what was seen first."""
        of = self._of
        other = np.zeros(len(rows), dtype=bool)
        for kind, (said, read) in enumerate(zip(promised, seen, strict=True)):
            known = of["reference"][kind, rows]
            told = np.where(working & (said > 0), said, np.nan)
            other |= np.abs(told - known) > OTHER_PRESET * known
            first = np.where(working & (read > 0), read, np.nan)
            of["reference"][kind, rows] = np.where(~np.isnan(told), told, np.where(np.isnan(known), first, known))
        if other.any():
            anew = rows[other]
            for name in ("day", "room", "middle", "spread"):
                of[name][..., anew] = np.nan
            of["sums"][..., anew] = 0.0
            of["counts"][..., anew] = 0.0

    def _count(self, slot: int, rows: NDArray[np.int64], accepted: Floats, refused: Floats) -> None:
        of = self._of
        column = slot // self._window_s % of["growth"].shape[1]
        for kind, now in enumerate((accepted, refused)):
            before = of["counters"][kind, rows]
            grown = np.where(now >= before, now - before, now)
            of["growth"][kind, column, rows] += np.where(np.isnan(before), 0.0, np.nan_to_num(grown))
            of["counters"][kind, rows] = np.where(np.isnan(now), before, now)

    def _pool(self, slot: int, rows: NDArray[np.int64], records: Sequence[MinerTelemetry]) -> None:
        """What stands for a day is its usual pool."""
        of = self._of
        for row, record in zip(rows.tolist(), records, strict=True):
            pool = pool_in_use(record)
            known = self._pools[row]
            if pool is None or pool == known[1] == known[0]:
                continue
            if pool != known[1]:
                known[1] = pool
                of["pool_since"][row] = slot
            if known[0] is None or slot - of["pool_since"][row] >= DAY_S:
                known[0] = pool
            of["other_pool"][row] = known[0] != pool

    def _window(self) -> Floats:
        """Mean of each value over the window; NaN where no reading of it is known."""
        counts = self._of["counts"].sum(axis=1)
        return np.where(counts > 0, self._of["sums"].sum(axis=1) / np.maximum(counts, 1), np.nan).astype(np.float64)

    def _group(self) -> NDArray[np.int64]:
        """Model and site, and what the preset promises, to a percent."""
        return preset_group(self._kinds, self._of["reference"][0])

    def _readings(self) -> Readings:
        of = self._of
        growth = of["growth"].sum(axis=1).astype(np.float64)
        return Readings(
            working=of["working"],
            values=self._window(),
            reference=of["reference"],
            boards_lost=of["boards_lost"],
            fans=of["fans"],
            other_pool=of["other_pool"],
            accepted=growth[0],
            refused=growth[1],
            still=of["still"],
            unit_wrong=of["unit_wrong"],
            group=self._group(),
        )

    def _usual(self, slot: int) -> Usual:
        of = self._of
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
        of = self._of
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
        of = self._of
        # Of a miner that is not at work nothing new is known: it stays what it was. One that is, and of which there is
        # too little to judge, can no longer have what was found before.
        rows = rows[of["working"][rows] & (~np.isnan(judged.overall[rows]) | of["odd"][rows])]
        before = of["odd"][rows]
        of["bits"][rows] = remembered(of["bits"][rows], judged.overall[rows] >= self._threshold)
        of["odd"][rows] = lasting(of["bits"][rows], before)
        events, changed = [], {}
        for row in rows[of["odd"][rows] != before].tolist():
            miner, began = self._miners[row], bool(of["odd"][row])
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
            "miner_id": [self._miners[row].miner_id for row in rows],
            "time_period": [f"{self._window_s}s"] * len(rows),
            **{name: plain(judged.scores[number, rows]) for number, name in enumerate(SIGNALS)},
            "overall": plain(judged.overall[rows]),
            "anomalous": [
                None if unknown else odd
                for odd, unknown in zip(
                    self._of["odd"][rows].tolist(), np.isnan(judged.overall[rows]).tolist(), strict=True
                )
            ],
            "reasons": [judged.reasons(row) for row in rows],
        }
        return (build_frame("anomaly_score", [time] * len(rows), columns),)


def preset_group(kinds: NDArray[np.int64], nominal_hs: Floats) -> NDArray[np.int64]:
    """One number for each kind (model and site) and each hashrate that a preset promises, to a percent."""
    rates = np.where(nominal_hs > 0, nominal_hs, 1.0)
    return np.asarray(kinds * 100_000 + np.round(100 * np.log(rates)).astype(np.int64))


def plain(scores: Floats) -> list[float | None]:
    """Scores as they are stored; None where there is none."""
    return [None if math.isnan(value) else value for value in np.round(scores, 4).tolist()]


def _passed(old: int, new: int, columns: int) -> list[int]:
    """Columns of a ring that begin anew when number ``old`` is followed by ``new``."""
    return [number % columns for number in range(max(old + 1, new - columns + 1), new + 1)]


def _settle(
    of: dict[str, NDArray[Any]], names: tuple[str, str, str], rows: NDArray[np.int64], slot: int, *, better: int
) -> None:
    """Take a better number for the usual one at once, a worse one when it has stood for a day. ``names``: of the
    present number, of the usual one, and of the time since when it is worse (0: it is not)."""
    value, known, began = (of[name][rows] for name in names)
    gain = better * (value - known)
    worse = gain < 0
    since = np.where(worse, np.where(began == 0, slot, began), np.where(np.isnan(value), began, 0))
    take = ~np.isnan(value) & (np.isnan(known) | (gain > 0) | (worse & (slot - since >= DAY_S)))
    of[names[1]][rows] = np.where(take, value, known)
    of[names[2]][rows] = np.where(take, 0, since)
