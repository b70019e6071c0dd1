"""Of which model and site every miner was in every hour: as its readings say, else the configuration.

An hour belongs to the model and site that most of it was read under, so it is the same whatever else is read with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.derive.hour_grid import Floats, HourGrid, Places, floats

READ = ("reachable_seconds", "hashrate_hs_seconds")
"""Hourly columns of ``miner_telemetry`` that tell how much of an hour was read."""
_BETWEEN = "\n"
Bools = npt.NDArray[np.bool_]
Pair = tuple[str, str]
"""Model and site."""
Group = tuple[str, str]
"""Scope (fleet, model, site) and key."""


@dataclass(frozen=True)
class Labels:
    """``pairs``: models and sites. ``numbers`` (miners x hours): which of them; -1 where a miner was not there, since
    neither its readings nor the configuration tell of it."""

    pairs: Sequence[Pair]
    numbers: Places

    @staticmethod
    def configured(grid: HourGrid, labels: Mapping[str, Pair]) -> Labels:
        """As the configuration has them now; ``labels``: model and site by miner."""
        pairs = sorted(set(labels.values()))
        usual = [pairs.index(labels[name]) if name in labels else -1 for name in grid.miners]
        return Labels(pairs, np.repeat(np.array(usual, dtype=np.int64), grid.hours).reshape(-1, grid.hours))

    @staticmethod
    def told(grid: HourGrid, telemetry: pa.Table, labels: Mapping[str, Pair], belonged: Bools) -> Labels:
        """By hourly rows of ``telemetry`` with :data:`READ`; where there is none as :meth:`configured`, as far as a
        miner ``belonged`` to the fleet (miners x hours)."""
        words = [pc.fill_null(telemetry[name], "") for name in ("model", "site")]
        texts = pc.binary_join_element_wise(*words, _BETWEEN).combine_chunks().dictionary_encode()
        named = [(model, site) for model, _, site in (one.partition(_BETWEEN) for one in texts.dictionary.to_pylist())]
        usual = Labels.configured(grid, labels)
        pairs = [*usual.pairs, *sorted(set(named) - set(usual.pairs))]
        numbers = np.where(belonged, usual.numbers, -1).reshape(-1)
        codes = np.array([pairs.index(pair) for pair in named], dtype=np.int64)[np.asarray(texts.indices)]
        most_last = np.argsort(read_s(telemetry), kind="stable")
        places, codes = grid.places(telemetry)[most_last], codes[most_last]
        numbers[places[places >= 0]] = codes[places >= 0]
        return Labels(pairs, numbers.reshape(usual.numbers.shape))

    @property
    def there(self) -> Bools:
        """Where a miner was there."""
        return self.numbers >= 0

    def by_model(self, value: Callable[[str], float]) -> Floats:
        """``value`` of the model of every miner and hour."""
        return np.array([*(value(model) for model, _ in self.pairs), np.nan])[self.numbers]

    def of_model(self, model: str) -> Bools:
        """Where a miner was of ``model``."""
        return np.isin(self.numbers, [number for number, pair in enumerate(self.pairs) if pair[0] == model])

    def newest_models(self) -> list[str]:
        """The model that each miner was last of."""
        at = np.maximum.accumulate(np.where(self.there, np.arange(self.numbers.shape[1]), 0), axis=1)[:, -1]
        newest = self.numbers[np.arange(len(self.numbers)), at]
        return [self.pairs[number][0] if number >= 0 else "" for number in newest.tolist()]

    def groups(self) -> dict[Group, Bools]:
        """Where (miners x hours) a miner is in the fleet, each model and each site. Where some have one, those without
        are a group too (:func:`key_of`), so that groups of a scope add up to the fleet."""
        found: dict[Group, Bools] = {("fleet", "fleet"): self.there}
        for place, scope in enumerate(("model", "site")):
            names = sorted({pair[place] for pair in self.pairs})
            for name in names if any(names) else ():
                those = [number for number, pair in enumerate(self.pairs) if pair[place] == name]
                found[scope, key_of(scope, name)] = np.isin(self.numbers, those)
        return found


def key_of(scope: str, name: str) -> str:
    """What a group is called: its model or site; where there is none, that. Not every store keeps an empty tag."""
    return name or f"(no {scope})"


def read_s(telemetry: pa.Table) -> Floats:
    """Seconds of each hourly row of which anything was read, also of a gap that was filled."""
    return np.nan_to_num(np.fmax(*(floats(telemetry[name]) for name in READ)))
