"""The score of the Numenta Anomaly Benchmark, by its rules as told in reference/domain.md 4.2: written anew, and held
to what was published for two detectors whose outputs come with the corpus (tests/bench/test_nab.py).

Inside a labelled window the earliest detection counts, the more the earlier; outside each one costs, the more the
farther behind the last window. One threshold holds for the whole corpus: the best for the profile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.derive.anomaly.own_history import Floats

PROFILES = {"standard": (0.11, 1.0), "low_FP": (0.22, 1.0), "low_FN": (0.11, 2.0)}
"""What a false alarm and a missed window cost."""
_PROBATION_SHARE, _PROBATION_MOST = 0.15, 750
_FAR = 3.0
"""Windows behind the last one, from where a false alarm costs all."""
_BEST = 0.98661
"""The curve at the left edge of a window, by which detections are divided."""


@dataclass(frozen=True, slots=True)
class Series:
    """One file: its values, and the labelled windows as first and last row."""

    values: Floats
    windows: tuple[tuple[int, int], ...]


def corpus(folder: Path) -> dict[str, Series]:
    """Every series of a corpus by its path."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = {}
    for name, spans in labels.items():
        table = pd.read_csv(folder / "data" / name, parse_dates=["timestamp"])
        times = table["timestamp"].to_numpy()
        windows = tuple(
            (
                int(np.searchsorted(times, np.datetime64(first))),
                int(np.searchsorted(times, np.datetime64(last), "right")) - 1,
            )
            for first, last in spans
        )
        found[name] = Series(table["value"].to_numpy(dtype=np.float64), windows)
    return found


def published(folder: Path, detector: str) -> dict[str, Floats]:
    """Anomaly scores that came with the corpus, by path of the series."""
    root = folder / "results" / detector
    found = {}
    for file in sorted(root.glob("*/*.csv")):
        name = f"{file.parent.name}/{file.name.removeprefix(f'{detector}_')}"
        found[name] = pd.read_csv(file, usecols=["anomaly_score"])["anomaly_score"].to_numpy(dtype=np.float64)
    return found


def scored(series: Mapping[str, Series], scores: Mapping[str, Floats]) -> dict[str, float]:
    """The score of each profile, 100 for a perfect detector and 0 for one that never detects anything."""
    return {name: _profile(series, scores, *costs) for name, costs in PROFILES.items()}


def probation(rows: int) -> int:
    """Rows at the start that are not scored."""
    return int(min(_PROBATION_SHARE * rows, _PROBATION_MOST))


def _profile(series: Mapping[str, Series], scores: Mapping[str, Floats], fp: float, fn: float) -> float:
    at, gained = [], []
    for name, one in series.items():
        for score, gain in _gains(one, scores[name], fp, fn):
            at.append(score)
            gained.append(gain)
    thresholds, gains = np.concatenate(at), np.concatenate(gained)
    order = np.argsort(-thresholds, kind="stable")
    total = np.cumsum(gains[order])
    last_of_threshold = np.append(np.diff(thresholds[order]) != 0, True)
    windows = sum(len(one.windows) for one in series.values())
    null = -fn * windows
    best = max(float(total[last_of_threshold].max(initial=0.0)), 0.0) + null
    return 100 * (best - null) / (windows - null)


def _gains(one: Series, scores: Floats, fp: float, fn: float) -> list[tuple[Floats, Floats]]:
    """What the total gains when the threshold falls to each score: (scores, gains), for alarms and each window."""
    rows = len(one.values)
    number = np.arange(rows)
    outside = np.ones(rows, dtype=bool)
    weight = np.full(rows, -1.0)
    for first, last in sorted(one.windows):
        length = last - first + 1
        behind = (number[last + 1 :] - last) / max(length - 1, 1)
        weight[last + 1 :] = np.where(behind > _FAR, -1.0, _curve(behind))
        outside[first : last + 1] = False
    outside[: probation(rows)] = False
    found = [(scores[outside], fp * weight[outside])]
    for first, last in one.windows:
        length = last - first + 1
        inside = np.arange(max(first, probation(rows)), last + 1)
        worth = _curve(-(last - inside + 1) / length) / _BEST
        order = np.argsort(-scores[inside], kind="stable")
        reached = np.maximum.accumulate(worth[order])
        gain = np.diff(reached, prepend=-fn)  # the first detection also spares the window's cost
        found.append((scores[inside][order], gain))
    return found


def _curve(position: Floats) -> Floats:
    return np.asarray(2.0 / (1.0 + np.exp(5.0 * position)) - 1.0)
