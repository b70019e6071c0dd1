"""The last 24 hours against sums done by hand; see world.py for what each miner lost.

SHA-256, TH/s: 30 x 100 expected; lost 100 unreachable, 100 / 3 of a board, 100 paused, 27 x 3 to heat; 2,685.67 are
delivered. The pools together saw 2,580 of it, in 21 of 22 hours: one of them told nothing of the first.
"""

from pathlib import Path

import pytest

from deployments.page.configured import Configured
from deployments.page.day import Day, read_day
from deployments.page.day_view import in_words, options
from tasks.collection_settings import CollectionSettings
from tests.page import world

STOP = 1_795_478_400
NOW = STOP + 1_200.0
CONFIGURED = Configured.of(CollectionSettings.model_validate(world.settings()))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    store = world.stored(tmp_path_factory.mktemp("day"), [world.operational(STOP), world.pool_hours(STOP)])
    found = read_day(store, CONFIGURED, NOW)
    store.close()
    return found


def test_delivered_and_lost_add_up_to_what_was_expected(day: Day) -> None:
    sha, scrypt = day.algorithms
    assert (sha.algorithm, sha.miners, sha.counted) == ("sha256d", 30, 30)
    assert (scrypt.algorithm, scrypt.miners) == ("scrypt", 10)
    assert sha.expected == (3_000e12,) * 22 + (None, None)
    assert sha.delivered[0] == pytest.approx(2_685.667e12, rel=1e-6)
    lost = {cause: points[0] / 1e12 for cause, points in sha.lost.items() if points[0]}
    assert lost == {
        "unreachable": 100, "board": pytest.approx(33.333, rel=1e-4), "paused": 100, "heat": pytest.approx(81)
    }  # fmt: skip
    assert day.known_until == STOP - 2 * 3_600


def test_the_pools_line_has_a_gap_where_one_of_them_told_nothing(day: Day) -> None:
    sha = day.algorithms[0]
    assert sha.pools[:2] == (None, 2_580e12)  # a sum over one of two pools would look like a loss
    assert sha.pools_ratio is not None
    ratio, hours = sha.pools_ratio
    assert ratio == pytest.approx(2_580 / 2_685.667, rel=1e-6)
    assert hours == 21


def test_in_words(day: Day) -> None:
    assert in_words(day.algorithms[0]) == (
        "SHA-256: 10.5% of what was expected in 22 h was lost: unreachable 3.3%, paused 3.3%, heat 2.7%, boards 1.1%. "
        "Pools saw 96.1% of what miners delivered in the 21 h that both are known of"
    )


def test_the_chart_stacks_delivered_and_causes_and_lays_the_pools_over_it(day: Day) -> None:
    series = options(day, day.algorithms[0])["series"]
    assert [(one["type"], one["name"], one["data"][1][1]) for one in series] == [  # type: ignore[attr-defined]
        ("bar", "delivered", pytest.approx(2_685.667, rel=1e-6)),
        ("bar", "lost: unreachable", 100),
        ("bar", "lost: paused", 100),
        ("bar", "lost: boards", pytest.approx(33.333, rel=1e-4)),
        ("bar", "lost: heat", pytest.approx(81)),
        ("line", "at the pools", 2_580),
    ]


def test_the_cause_that_took_most_of_each_miner(day: Day) -> None:
    assert {name: day.mostly[name] for name in ("s01", "s02", "s03", "l09")} == {
        "s01": "unreachable", "s02": "board", "s03": "paused", "l09": "heat",
    }  # fmt: skip


def test_hours_in_which_nobody_was_read_are_told(tmp_path: Path) -> None:
    def hour(number: int, name: str, **fields: float | None) -> dict[str, object]:
        return {"time": STOP - number * 3_600, "miner_id": name, "time_period": "1h", **fields}

    dark = [hour(number, name, coverage_percentage=0.0) for number in (1, 2) for name in ("s01", "s02")]
    store = world.stored(tmp_path / "dark", [world.frame("operational_metrics", dark)])
    (sha,) = read_day(store, CONFIGURED, NOW).algorithms
    assert in_words(sha).endswith("nothing is known. No miner was read in 2 h")
    half = hour(3, "s01", coverage_percentage=50.0, hashrate_expected_hs=1e14, hashrate_lost_hs=0.0)
    store.write([world.frame("operational_metrics", [half, hour(3, "s02", coverage_percentage=0.0)])])
    (sha,) = read_day(store, CONFIGURED, NOW).algorithms
    assert "in 1 h was lost. No miner was read in 2 h" in in_words(sha)
    store.close()


def test_a_miner_that_does_not_say_what_to_expect_is_in_no_sum(tmp_path: Path) -> None:
    silent = world.frame(
        "operational_metrics",
        [
            {"time": STOP - 3_600, "miner_id": name, "time_period": "1h", "uptime_percentage": 100.0}
            for name in ("s04",)
        ],
    )
    store = world.stored(tmp_path, [silent])
    found = read_day(store, CONFIGURED, NOW)
    store.close()
    (sha,) = found.algorithms
    assert (sha.miners, sha.counted, set(sha.expected), sha.lost_shares) == (1, 0, {None}, {})
    assert in_words(sha).endswith("none of 1 miners says what to expect, so nothing can be said to be lost")


def test_nothing_derived_is_no_loss_of_zero(tmp_path: Path) -> None:
    store = world.stored(tmp_path)
    assert read_day(store, CONFIGURED, NOW) == Day(STOP - 86_400, (), None, {})
    store.close()
