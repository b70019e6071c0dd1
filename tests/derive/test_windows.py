"""Which hours and days are due, by the marks of their inputs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from storage.declaration import Tier
from storage.downsample.run import GRACE_S
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.windows import Inputs, by_day, due_windows, mark_derived

HOUR_S, DAY_S = 3_600, 86_400
MIDNIGHT = 1_800_000_000 // DAY_S * DAY_S
DERIVED = "operational_metrics"
TELEMETRY = Inputs(["miner_telemetry"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "lake")
    yield store
    store.close()


def rolled(store: EmbeddedStore, marks: Mapping[int, int]) -> None:
    """Note ``marks`` of hours after midnight."""
    columns = {"measurement": ["miner_telemetry"] * len(marks), "tier": ["hourly"] * len(marks)}
    times = [MIDNIGHT + hour * HOUR_S for hour in marks]
    store.write([build_frame("window_rolled", times, {**columns, "covered": [*marks.values()]})])


def due(store: EmbeddedStore, now: int, inputs: Inputs = TELEMETRY, *, mark: bool = True) -> list[tuple[int, Tier]]:
    """Windows due at ``now``, by hours after midnight; they are marked as derived."""
    found = due_windows(store, DERIVED, inputs, now, 2 * DAY_S)
    if mark:
        for windows in by_day(found):
            mark_derived(store, DERIVED, windows)
    return [((one.start - MIDNIGHT) // HOUR_S, one.tier) for one in found]


H, D = Tier.HOURLY, Tier.DAILY
NOON = MIDNIGHT + 12 * HOUR_S


def test_an_hour_is_due_once_and_one_that_is_not_over_not_yet(store: EmbeddedStore):
    rolled(store, {0: 7, 1: 7, 12: 7})
    assert due(store, NOON, mark=False) == [(0, H), (1, H)]
    assert due(store, NOON) == [(0, H), (1, H)]
    assert due(store, NOON) == []


def test_what_changes_in_an_hour_makes_those_due_that_go_on_from_it_for_a_day(store: EmbeddedStore):
    rolled(store, {hour: 7 for hour in (0, 1, 23, 24, 25)})
    later = MIDNIGHT + 30 * HOUR_S
    assert due(store, later) == [(0, H), (1, H), (23, H), (24, H), (25, H), (0, D)]
    rolled(store, {1: 8})
    # a counter of hour 25 may go on from hour 1; of hour 26 there is nothing
    assert due(store, later) == [(1, H), (23, H), (24, H), (25, H), (0, D)]
    rolled(store, {0: 8})
    assert due(store, later) == [(0, H), (1, H), (23, H), (24, H), (0, D)]


def test_an_hour_that_is_to_be_rolled_up_again_is_waited_for_and_so_is_its_day(store: EmbeddedStore):
    rolled(store, {0: 7, 1: 0, 2: 7})
    after = MIDNIGHT + DAY_S + GRACE_S
    assert due(store, after, mark=False) == [(0, H), (2, H)]
    rolled(store, {1: 7})
    assert due(store, after) == [(0, H), (1, H), (2, H), (0, D)]


def test_a_day_is_due_when_it_is_over_for_two_minutes(store: EmbeddedStore):
    rolled(store, {23: 7})
    assert due(store, MIDNIGHT + DAY_S + GRACE_S - 1) == []
    assert due(store, MIDNIGHT + DAY_S + GRACE_S) == [(23, H), (0, D)]


def test_other_settings_make_all_due_and_rows_without_a_mark_their_hour(store: EmbeddedStore):
    rolled(store, {0: 7, 1: 7})
    inputs = Inputs(["miner_telemetry"], ["mining_profitability"], "0.05 USD")
    assert due(store, NOON, inputs) == [(0, H), (1, H)]
    tags = {"algorithm": ["sha256d"], "coins": ["bitcoin"], "source": ["x"]}
    store.write([build_frame("mining_profitability", [MIDNIGHT + HOUR_S], {**tags, "usd_th_day": [0.05]})])
    assert due(store, NOON, inputs) == [(1, H)]
    store.write([build_frame("mining_profitability", [MIDNIGHT + HOUR_S], {**tags, "usd_th_day": [0.06]})])
    assert due(store, NOON, inputs) == [(1, H)]
    assert due(store, NOON, Inputs(inputs.marked, inputs.counted, "0.06 USD")) == [(0, H), (1, H)]


def test_what_lies_before_the_horizon_is_left_alone(store: EmbeddedStore):
    rolled(store, {0: 7})
    assert due(store, MIDNIGHT + 3 * DAY_S) == []


def test_an_hour_in_which_nobody_was_read_is_due_unless_its_data_waits_for_the_roll_up(store: EmbeddedStore):
    inputs = Inputs(["miner_telemetry"], silent_too=True)
    assert due(store, NOON, inputs) == [], "there is nothing before the first reading"
    rolled(store, {1: 7, 4: 7})
    came: dict[str, list[str] | list[int]] = {
        "host": ["h"], "measurement": ["miner_telemetry"], "touched_ns": [5],
    }  # fmt: skip
    store.write([build_frame("window_touched", [MIDNIGHT + 2 * HOUR_S], came)])
    after = MIDNIGHT + 6 * HOUR_S + GRACE_S
    assert due(store, after, inputs) == [(hour, H) for hour in (1, 3, 4, 5)]
    assert due(store, after, inputs) == []
    rolled(store, {2: 7})
    assert due(store, after, inputs) == [(hour, H) for hour in (2, 3, 4, 5)], "3 to 5 go on from it"
    # two days later the second day is dark as a whole, and has its row
    assert due(store, MIDNIGHT + 2 * DAY_S + GRACE_S, inputs)[-2:] == [(0, D), (24, D)]
    assert due(store, MIDNIGHT + 2 * DAY_S + GRACE_S, inputs) == []
