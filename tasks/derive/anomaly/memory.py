"""What the detector on the stream remembers of each miner: arrays over the whole fleet, some 3 kB a miner.

The window in five parts, of which a new one pushes out the oldest; a day of windows (float16, hashrate and power as
ratios) and their median; shares of the last hour by windows; what is usual, and what was odd of late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records.miner import Miner
from tasks.derive.anomaly.own_history import Floats
from tasks.derive.anomaly.readings import SETTLES_S, VALUES, preset_group

DAY_S, HOUR_S = 86_400, 3_600
PARTS = 5
"""Parts of a window."""

STAMPS = {
    "settled_at": SETTLES_S, "since": 0, "heard_at": 0, "lost_since": 0, "fans_since": 0, "pool_since": 0, "peak_at": 0,
    "known_until": DAY_S,
}  # fmt: skip
"""Arrays of times, and how far after now each may lie."""

Arrays = dict[str, NDArray[Any]]
_ADDED = frozenset({"settled_at", "since", "heard_at"})
"""Arrays that states of versions before do not have: they begin blank."""


class Memory:
    """Of ``miners``, with windows of ``window_s`` seconds. ``of``: arrays by name; the miner is the last axis.
    ``pools``: the usual one and the present one of each miner."""

    def __init__(self, miners: Sequence[Miner], window_s: int) -> None:
        self.miners = tuple(miners)
        self.rows = {miner.miner_id: row for row, miner in enumerate(self.miners)}
        self.window_s, self.part_s = window_s, max(window_s // PARTS, 1)
        self.kinds = np.unique([f"{miner.model}\n{miner.site}" for miner in self.miners], return_inverse=True)[1]
        self.slot: int | None = None
        self.pools: list[list[str | None]] = [[None, None] for _ in self.miners]
        self.of = self._blank()

    def _blank(self) -> Arrays:
        number, windows = len(self.miners), max(DAY_S // self.window_s, 1)
        hour = max(-(-HOUR_S // self.window_s), 1)

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
            "settled_at": zero(kind=np.int64),
            "since": zero(kind=np.int64),
            "heard_at": zero(kind=np.int64),
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

    def state(self) -> Arrays:
        """All that is known, for :meth:`recall`; its arrays are those in use, so write them before the next tick."""
        pools = np.array(self.pools, dtype=np.str_) if self.miners else np.empty((0, 2), dtype=np.str_)
        return {
            **self.of,
            "miners": np.array([miner.miner_id for miner in self.miners], dtype=np.str_),
            "pools": np.where(pools == "None", "", pools),
            "times": np.array([self.window_s, -1 if self.slot is None else self.slot], dtype=np.int64),
        }

    def recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what another one knew of the same miners. Of another length of window nothing is of use.

        Raises:
            ValueError: it is no state of a detector.
        """
        if {"times", "miners", "pools"} - state.keys() or state["times"].shape != (2,):
            raise ValueError("it is no state of a detector")
        window_s, slot = state["times"].tolist()
        if window_s != self.window_s or slot < 0:
            return
        told = {name: own for name, own in self.of.items() if name in state or name not in _ADDED}
        for name, own in told.items():
            if name not in state or state[name].shape[:-1] != own.shape[:-1] or state[name].dtype != own.dtype:
                raise ValueError(f"its {name} is of another version")
        known = [(row, self.rows[name]) for row, name in enumerate(state["miners"].tolist()) if name in self.rows]
        theirs, ours = np.array(known, dtype=np.int64).reshape(-1, 2).T
        for name, own in told.items():
            own[..., ours] = state[name][..., theirs]
        for row, own_row in known:
            self.pools[own_row] = [url or None for url in state["pools"][row].tolist()]
        self.slot = int(slot)

    def set_back(self, slot: int) -> None:
        """Go on at ``slot``, before the newest one: the clock was ahead for a while. What was read stays usual; no time
        lies in the future, and the present window begins anew."""
        self.slot = slot
        for name, after_s in STAMPS.items():
            np.minimum(self.of[name], slot + after_s, out=self.of[name])
        self.of["sums"][:] = 0.0
        self.of["counts"][:] = 0.0

    @property
    def bytes_per_miner(self) -> float:
        """Memory of the arrays."""
        return sum(array.nbytes for array in self.of.values()) / max(len(self.miners), 1)

    def window(self) -> Floats:
        """Mean of each value over the window; NaN where no reading of it is known."""
        counts = self.of["counts"].sum(axis=1)
        return np.where(counts > 0, self.of["sums"].sum(axis=1) / np.maximum(counts, 1), np.nan).astype(np.float64)

    def group(self) -> NDArray[np.int64]:
        """Model and site, and what the preset promises, to a percent."""
        return preset_group(self.kinds, self.of["reference"][0])
