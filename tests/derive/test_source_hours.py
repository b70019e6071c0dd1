"""How sources answered, by hour: figures by hand, once, again, late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration.bucket import Tier
from storage.declaration.pipeline import SOURCE_HOUR
from storage.downsample.run import GRACE_S
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.source_hours import derive_source_hours

HOUR_S = 3_600
HOUR = 1_800_000_000 // HOUR_S * HOUR_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "lake")
    yield store
    store.close()


def requests(*given: tuple[int, str, str | None, float], source: str = "gecko") -> Frame:
    """Seconds after HOUR, request, failure and milliseconds of each."""
    return build_frame(
        "source_request",
        [HOUR + after_s for after_s, *_ in given],
        {
            "host": ["edge"] * len(given),
            "source": [source] * len(given),
            "request": [request for _, request, *_ in given],
            "ok": [failure is None for _, _, failure, _ in given],
            "failure": [failure for _, _, failure, _ in given],
            "latency_ms": [took for *_, took in given],
            "rows": [None if failure else 4 for _, _, failure, _ in given],
        },
    )


def hours(store: EmbeddedStore) -> dict[tuple[str, int], dict[str, Any]]:
    rows = store.read(SOURCE_HOUR, Tier.RAW, HOUR - 9 * HOUR_S, HOUR + 9 * HOUR_S).to_pylist()
    return {(row["source"], (int(row["time"].timestamp()) - HOUR) // HOUR_S): row for row in rows}


def test_an_hour_by_hand(store: EmbeddedStore) -> None:
    answers: list[tuple[int, str, str | None, float]] = [(60 * n, "price", None, 100.0 * n) for n in range(1, 6)]
    failures: list[tuple[int, str, str | None, float]] = [
        (10, "price", "timeout", 9_000.0), (20, "price", "timeout", 9_000.0), (30, "list", "refused", 50.0),
        (40, "list", "budget", 0.1), (HOUR_S + 5, "price", None, 7.0),
    ]  # fmt: skip
    store.write([requests(*answers, *failures)])
    store.write([requests((5, "hash", "unreachable", 10.0), source="pool")])
    assert derive_source_hours(store, HOUR + HOUR_S + GRACE_S) == 2, "the hour that goes on is not made"
    told = hours(store)
    gecko = told["gecko", 0]
    assert (gecko["asked"], gecko["answered"], gecko["rows"]) == (8, 5, 20), "for want of credits nobody was asked"
    assert gecko["success_ratio"] == pytest.approx(5 / 8, rel=1e-4)
    assert gecko["failed_by_reason"] == "refused=1,timeout=2"
    # straight between 100, 200, 300, 400 and 500 ms: 0.95 x 4 = 3.8 of the way
    for part, expected in ((50, 300.0), (95, 480.0), (99, 496.0)):
        assert gecko[f"latency_p{part}_ms"] == pytest.approx(expected, rel=1e-4)
    pool = told["pool", 0]
    assert (pool["asked"], pool["answered"], pool["success_ratio"], pool["latency_p50_ms"]) == (1, 0, 0.0, None)
    assert (pool["rows"], pool["reason"]) == (None, "latency:no_answer")


def test_again_it_writes_nothing_and_late_requests_are_taken_in(store: EmbeddedStore) -> None:
    store.write([requests((0, "price", None, 100.0))])
    now = HOUR + HOUR_S + GRACE_S
    assert derive_source_hours(store, now) == 1
    assert derive_source_hours(store, now) == 0
    store.write([requests((60, "price", "timeout", 9_000.0), (2 * HOUR_S, "price", None, 100.0))])
    assert derive_source_hours(store, now + 2 * HOUR_S) == 2
    assert {key: row["asked"] for key, row in hours(store).items()} == {("gecko", 0): 2, ("gecko", 2): 1}


def test_what_no_run_made_for_days_is_made(store: EmbeddedStore) -> None:
    store.write([requests((0, "price", None, 100.0))])
    assert derive_source_hours(store, HOUR + 6 * 86_400) == 1
    assert derive_source_hours(store, HOUR + 9 * 86_400) == 0, "raw requests of longer ago are not read at every run"


def test_nothing_asked_is_no_row(store: EmbeddedStore) -> None:
    assert derive_source_hours(store, HOUR) == 0


def test_an_hour_that_a_clock_left_ahead_holds_up_none_of_now(store: EmbeddedStore) -> None:
    store.write([requests((90 * HOUR_S, "price", None, 100.0))])
    assert derive_source_hours(store, HOUR + 91 * HOUR_S + GRACE_S) == 1
    store.write([requests((60, "price", None, 100.0))])
    assert derive_source_hours(store, HOUR + HOUR_S + GRACE_S) == 1
    assert hours(store).keys() == {("gecko", 0)}
