"""Pools of the page against what world.py lets them tell."""

from pathlib import Path

import pytest

from deployments.page.answer import Answer
from deployments.page.configured import Configured
from deployments.page.pools import Pools, read_pools
from deployments.page.pools_view import body, coins
from storage.frame import build_frame
from tasks.collection_settings import CollectionSettings
from tasks.quantity import clock
from tests.page import world

STOP = 1_795_478_400
NOW = STOP + 1_200
CONFIGURED = Configured.of(CollectionSettings.model_validate(world.settings()))


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Pools:
    store = world.stored(tmp_path_factory.mktemp("pools"), [world.workers(STOP), *world.accounts(NOW)])
    found = read_pools(store, CONFIGURED, NOW)
    store.close()
    return found


def test_a_pools_hashrate_against_ours_is_of_the_workers_that_both_know(pools: Pools) -> None:
    f2, ltc, via = pools.pools
    assert (f2.pool_hs, f2.miners_hs, f2.compared) == (960e12, 970e12, 10)  # not s11, of which the pool told nothing
    assert f2.ratio == pytest.approx(960 / 970)
    assert (ltc.algorithm, ltc.compared) == ("scrypt", 5)
    assert ltc.ratio == pytest.approx(96 / 97)
    assert (via.pool_hs, via.miners_hs, via.ratio) == (None, None, None)
    assert dict(f2.others) == {"missing_worker": 1}
    assert [row["miner_id"] for row in pools.elsewhere] == ["s30"]
    assert pools.hour == STOP - 3 * 3_600


def test_the_last_credit_is_the_newest_that_the_pool_lists(pools: Pools) -> None:
    (account,) = pools.pools[0].accounts
    assert account.credit is not None
    assert (account.credit["amount"], account.credit["time"].timestamp()) == (0.00388, NOW - 36_000)
    assert [one.credit for one in pools.pools[1].accounts] == [None, None]


def test_what_the_card_says(pools: Pools) -> None:
    said = body(pools, Answer(pools, NOW))
    assert ">960 TH/s<" in said
    assert ">99.0%<" in said
    assert "f2: 1 missing worker: farm.s11: f2 does not tell of farm.s11" in said
    assert "1 known to no pool: " in said
    assert "0.00388 BTC, 388.00 USD, " in said
    assert "told nothing of its account in seven days" in said  # via, in the place of numbers
    assert 'title="the pool listed no credit in 35 days"' in said


def test_when_a_pool_told_nothing_and_why(tmp_path: Path) -> None:
    """f2 told its workers up to two hours ago, was paused for one, and tells them again since half an hour ago."""
    pause = "paused by hand until 2026-11-24 00:00:00 UTC by ana: new account"
    told = [*range(NOW - 10_800, NOW - 7_199, 300), *range(NOW - 1_800, NOW, 300)]
    began, ended = ("override_began", NOW - 7_190, pause), ("override_ended", NOW - 1_830, None)
    store = world.stored(
        tmp_path,
        [
            build_frame("pool_performance", told, {"pool_id": ["f2"] * len(told), "status": ["online"] * len(told)}),
            build_frame("source_event", [began[1], ended[1]], {
                "host": ["h", "h"], "source": ["f2", "f2"], "kind": [began[0], ended[0]], "severity": ["info", "info"],
                "new": [began[2], ended[2]],
            }),
        ],
    )  # fmt: skip
    found = read_pools(store, CONFIGURED, NOW)
    store.close()
    (gap,) = found.gaps
    assert (gap.source, gap.start, gap.stop) == ("f2", (NOW - 7_200) // 60 * 60, (NOW - 1_800) // 60 * 60)
    said = body(found, Answer(found, NOW))
    assert f"Told nothing in the last day: f2 from {clock(gap.start)} to {clock(gap.stop)}: {pause}" in said


def test_no_pool(tmp_path: Path) -> None:
    store = world.stored(tmp_path)
    found = read_pools(store, Configured(), NOW)
    store.close()
    assert "No pool is configured" in body(found, Answer(found, NOW))


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0 LTC"), (1234.5678, "1234.6 LTC")])  # noqa: RUF001
def test_amounts(value: float | None, text: str) -> None:
    assert coins(value, "LTC") == text
