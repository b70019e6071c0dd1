"""The scorer of NAB against published results of two detectors, and against a series worked out by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.bench.nab import Series, corpus, probation, published, scored


def test_one_window_by_hand() -> None:
    # 100 rows, the first 15 not scored, a window over rows 50..59. Row 55 stands at -(59-55+1)/10 = -0.5:
    # (2 / (1 + e^-2.5) - 1) / 0.98661 = 0.8598. Perfect is 1, nothing at all -1: 100 x (0.8598 + 1) / 2 = 92.99.
    series = {"x": Series(np.zeros(100), ((50, 59),))}
    scores = np.zeros(100)
    scores[[3, 55]] = 1.0  # row 3 is in probation
    assert probation(100) == 15
    assert scored(series, {"x": scores})["standard"] == pytest.approx(92.99, abs=0.01)
    # missing costs 2 in this profile: 100 x (0.8598 + 2) / 3
    assert scored(series, {"x": scores})["low_FN"] == pytest.approx(95.33, abs=0.01)
    # one alarm before the window as well costs 0.11, and no threshold can leave it out: 100 x (0.7498 + 1) / 2
    scores[20] = 1.0
    assert scored(series, {"x": scores})["standard"] == pytest.approx(87.49, abs=0.01)


def test_perfect_and_silent() -> None:
    series = {"x": Series(np.zeros(200), ((50, 59), (120, 149)))}
    scores = np.zeros(200)
    scores[[50, 120]] = 1.0
    assert scored(series, {"x": scores})["standard"] == pytest.approx(100, abs=0.01)
    silent = scored(series, {"x": np.where(np.arange(200) < 15, 1.0, -1.0)})
    assert silent["low_FP"] >= 0


@pytest.mark.skipif("NAB_DIR" not in os.environ, reason="NAB_DIR, the folder of the NAB corpus, is not given")
@pytest.mark.parametrize(
    ("detector", "row"), [("windowedGaussian", (39.65, 20.87, 47.41)), ("twitterADVec", (47.06, 33.61, 53.50))]
)
def test_published_rows(detector: str, row: tuple[float, float, float]) -> None:
    folder = Path(os.environ["NAB_DIR"])
    found = scored(corpus(folder), published(folder, detector))
    assert tuple(found.values()) == pytest.approx(row, abs=0.01)
