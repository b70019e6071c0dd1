"""How late a sink gets what was read: counted by hand, on over restarts, and never at the cost of a delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.delivery.books import books_of_lane
from storage.delivery.courier import Courier
from storage.delivery.lag import lag_of
from storage.errors import TryAgain
from storage.histogram import Histogram, continued, empty
from storage.spool.lane import Lane
from tests.delivery.sinks import MemorySink
from tests.spool.batches import SLOT, batch


def spool(root: Path, *given: tuple[str, int, int]) -> None:
    """Records of so many points, read so many seconds after SLOT."""
    with Lane.open(root, "miners", cap_bytes=10**7) as lane:
        for name, after_s, points in given:
            lane.append(batch(name, [f"{name}.{row}" for row in range(points)], SLOT + after_s))


def deliver(root: Path, sink: MemorySink, at: float) -> None:
    courier = Courier(
        root / "miners", sink, [sink.name], holder="test", random=lambda: 0.5, now=lambda: SLOT + at, max_points=1
    )
    courier.attempt()
    courier.close()


def test_points_are_counted_by_the_time_from_their_reading(tmp_path: Path) -> None:
    spool(tmp_path, ("a", 0, 3), ("b", 60, 2))
    sink = MemorySink()
    deliver(tmp_path, sink, 4.0)  # a, after 4 s
    sink.failures = [TryAgain("away")]
    deliver(tmp_path, sink, 70.0)
    lag = lag_of(tmp_path / "miners", "influx")
    assert lag is not None
    assert (lag.slot, lag.delays.count) == (SLOT, 3), "what the sink did not take has no lag yet"
    deliver(tmp_path, sink, 460.0)  # b, after 400 s, by another courier: counted on
    lag = books_of_lane(tmp_path / "miners")["influx"].lag
    assert lag is not None
    assert (lag.slot, lag.delays.count, lag.delays.sum) == (SLOT + 60, 5, 3 * 4.0 + 2 * 400.0)
    by_bound = dict(zip(lag.delays.bounds, lag.delays.counts, strict=False))
    assert {bound: count for bound, count in by_bound.items() if count} == {5.0: 3, 900.0: 2}


def test_a_clock_that_was_set_back_gives_no_lag_below_zero(tmp_path: Path) -> None:
    spool(tmp_path, ("a", 100, 1))
    deliver(tmp_path, MemorySink(), 0.0)
    lag = lag_of(tmp_path / "miners", "influx")
    assert lag is not None
    assert lag.delays.sum == 0.0


@pytest.mark.parametrize("content", [b"", b"{", b'{"slot": "x"}'])
def test_a_file_that_is_damaged_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    spool(tmp_path, ("a", 0, 1))
    (tmp_path / "miners" / "lag.influx.json").write_bytes(content)
    sink = MemorySink()
    deliver(tmp_path, sink, 2.0)
    assert sink.stored == {"a.0"}
    lag = lag_of(tmp_path / "miners", "influx")
    assert lag is not None
    assert lag.delays.count == 1


def test_where_the_lag_cannot_be_kept_it_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool(tmp_path, ("a", 0, 1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.delivery.courier.save_lag", full)
    deliver(tmp_path, MemorySink(), 2.0)
    books = books_of_lane(tmp_path / "miners")["influx"]
    assert (books.stored, books.trouble, books.lag) == (1, None, None)


def test_quantiles_lie_straight_between_bounds() -> None:
    counted = empty((1.0, 2.0, 4.0)).plus([0.5] * 50 + [3.0] * 50)
    # Prometheus' histogram_quantile: the 75th of 100 is the 25th of the 50 between 2 and 4, so 2 + 2 x 25 / 50
    assert counted.quantile(0.75) == 3.0
    assert counted.quantile(0.5) == 1.0
    assert counted.quantile(0.95) == pytest.approx(3.8)
    assert counted.plus([99.0] * 1000).quantile(0.95) == 4.0, "beyond the last bound nobody knows"
    assert empty((1.0,)).quantile(0.5) is None


def test_what_came_since() -> None:
    before = empty((1.0, 2.0)).plus([0.5])
    now = before.plus([1.5], weight=3)
    assert now.since(before) == Histogram(bounds=(1.0, 2.0), counts=(0, 3, 0), sum=4.5)
    assert before.since(now) == before, "it was begun anew"
    assert now.since(None) == now
    assert continued(now, (1.0, 2.0)) is now
    assert continued(now, (1.0, 3.0)) == empty((1.0, 3.0))
