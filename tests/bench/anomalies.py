"""The detector of anomalies on the NAB corpus, where ``NAB_DIR`` names its folder.

NAB: 58 series, one value each, no peers: what is shown is the test against own history with the suppression of repeats.
History of 2,016 points, a week of five-minute windows, and its median renewed every 12, as on the stream. Nothing was
tuned to the corpus but TAILS of tasks/derive/anomaly/own_history.py, so its figure is slightly optimistic.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tasks.derive.anomaly.own_history import LEAST_POINTS, TAILS, Floats, median_and_mad, unrepeated, z_of
from tests.bench.figure import Figure, cost
from tests.bench.nab import PROFILES, corpus, scored

NAB_HISTORY, NAB_RENEWED, NAB_SUPPRESSED = 2_016, 12, 300
NAB_TARGETS = {"standard": 39.6, "low_FP": 20.9, "low_FN": 47.4}
"""What a plain Gaussian window reaches, as published; better ones: Twitter ADVec 47.1, Random Cut Forest 51.7."""
_AT_ONCE = 64


def figures() -> list[Figure]:
    """All figures of anomalies."""
    return _nab()


def oddness(values: Floats) -> Floats:
    """Size of the unrepeated z of each value against those before; 0 where there are too few."""
    rows = len(values)
    padded = np.concatenate([np.full(NAB_HISTORY, np.nan), values])
    starts = np.arange(0, rows, NAB_RENEWED)
    histories = np.lib.stride_tricks.sliding_window_view(padded, NAB_HISTORY)
    z = np.empty(rows)
    for first in range(0, len(starts), _AT_ONCE):
        batch = starts[first : first + _AT_ONCE]
        middle, spread, points = median_and_mad(histories[batch], tails=TAILS)
        end = min(int(batch[-1]) + NAB_RENEWED, rows)
        own = (np.arange(batch[0], end) - batch[0]) // NAB_RENEWED
        z[batch[0] : end] = z_of(values[batch[0] : end], middle[own], spread[own], points[own] >= LEAST_POINTS)
    return np.nan_to_num(np.abs(unrepeated(z, NAB_SUPPRESSED)))


def _nab() -> list[Figure]:
    folder = os.environ.get("NAB_DIR")
    if not folder:
        return [
            Figure(name=f"anomalies_nab_{profile}", target=f"> {target}", ok=None, note="NAB_DIR is not given")
            for profile, target in NAB_TARGETS.items()
        ]
    series = corpus(Path(folder))
    with cost() as spent:
        odd = {name: oddness(one.values) for name, one in series.items()}
    found = scored(series, odd)
    return [
        Figure(
            name=f"anomalies_nab_{profile}",
            value=round(found[profile], 2),
            target=f"> {NAB_TARGETS[profile]}",
            ok=found[profile] > NAB_TARGETS[profile],
            note=f"published: Gaussian window {NAB_TARGETS[profile]}; {spent.cpu_s:.1f} CPU seconds for all series",
        )
        for profile in PROFILES
    ]
