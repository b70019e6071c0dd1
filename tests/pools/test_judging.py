"""What a pool tells of a worker, judged: each word, what it takes, and what is no fault."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.pool import PoolRecords, WorkerPerformance
from tasks.pools.judging import RULES, SILENT_S, judged, judged_frames

WELL: dict[str, Any] = {
    "time": 1, "pool_id": "p", "worker_id": "acc.a", "algorithm": "scrypt", "status": "online",
    "hashrate_effective_hs": 9.5e9, "last_share_age_s": 30.0,
}  # fmt: skip
EFFECTIVE = "hashrate_effective_hs"


@pytest.mark.parametrize(
    ("fields", "quality", "flags", "dropped"),
    [
        ({}, 1.0, None, None),
        ({"last_share_age_s": None}, 1.0, None, None),  # a pool that never tells it is not blamed
        ({"status": "offline", "hashrate_effective_hs": None}, 1.0, None, None),
        ({"hashrate_effective_hs": 0.0}, 1.0, None, None),  # zero is an answer
        ({"hashrate_effective_hs": None}, 0.5, "missing:hashrate", None),
        ({"hashrate_effective_hs": None, "hashrate_reported_hs": 9e9}, 1.0, None, None),
        ({"hashrate_effective_hs": -1.0}, 0.4, f"impossible:{EFFECTIVE},missing:hashrate", EFFECTIVE),
        ({"hashrate_reported_hs": 9.5e12}, 0.5, "unit_suspect", None),
        ({"hashrate_reported_hs": 9.5e7}, 0.5, "unit_suspect", None),
        ({"hashrate_reported_hs": 9e10}, 1.0, None, None),
        ({"last_share_age_s": SILENT_S + 1.0}, 0.7, "conflicting", None),
        ({"last_share_age_s": SILENT_S + 1.0, "status": "offline"}, 1.0, None, None),
        ({"reject_ratio": 1.5}, 0.8, "impossible:reject_ratio", "reject_ratio"),
        ({"shares_accepted": -1}, 0.8, "impossible:shares_accepted", "shares_accepted"),
        ({"quality_flags": "oddly_written"}, 1.0, "oddly_written", None),
    ],
)  # fmt: skip
def test_each_word(fields: dict[str, Any], quality: float, flags: str | None, dropped: str | None) -> None:
    found = judged(WorkerPerformance(**{**WELL, **fields}))
    assert found.quality == pytest.approx(quality)
    assert found.quality_flags == flags
    if dropped is not None:
        assert getattr(found, dropped) is None


NUMBERS = st.none() | st.floats() | st.sampled_from([0.0, -1.0, 1e30, math.nan])


@given(
    reported=NUMBERS, effective=NUMBERS, ratio=NUMBERS, age=NUMBERS, status=st.sampled_from(["online", "offline", None])
)
def test_whatever_a_pool_says_it_is_judged_twice_as_once(
    reported: float | None, effective: float | None, ratio: float | None, age: float | None, status: str | None
) -> None:
    told = WorkerPerformance(
        **{
            **WELL,
            "hashrate_reported_hs": reported,
            "hashrate_effective_hs": effective,
            "reject_ratio": ratio,
            "last_share_age_s": age,
            "status": status,
        }
    )
    found = judged(told)
    assert found.quality is not None
    assert 0 < found.quality <= 1
    for name in ("hashrate_reported_hs", "hashrate_effective_hs", "reject_ratio", "last_share_age_s"):
        value = getattr(found, name)
        assert value is None or (math.isfinite(value) and value >= 0)
        assert value in (None, getattr(told, name))


def test_frames_have_the_verdict() -> None:
    (frame,) = judged_frames(PoolRecords(workers=(WorkerPerformance(**{**WELL, "reject_ratio": 2.0}),)))
    assert frame.columns["quality"] == pytest.approx([0.8], rel=1e-4)  # stored to 16 bits
    assert frame.columns["quality_flags"] == ["impossible:reject_ratio"]
    assert "reject_ratio" not in frame.columns


def test_words_have_weights_between_nothing_and_all() -> None:
    assert all(0 < rule.weight <= 1 for rule in RULES)
