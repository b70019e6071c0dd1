"""The flow that derives from market data, on a real server: closes of a published lesson become its index, once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.market.indicating import DAY_S
from tests.derive.test_indicating import LESSON, STRENGTHS

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

CONFIGURATION = """
market_data:
  network: {enabled: false, coins: [bitcoin]}
"""


@pytest.fixture
def lake(api, tmp_path, monkeypatch):
    """A lake with 33 closes until yesterday, and a network and a price of the last whole hour."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text(CONFIGURATION)
    today, hour = int(time.time()) // DAY_S, int(time.time()) // 3600 * 3600 - 3600
    times = [(today - 33 + day) * DAY_S for day in range(33)]
    coin = {"source": ["coingecko"], "coin_id": ["bitcoin"]}
    store = EmbeddedStore(tmp_path / "lake")
    store.write(
        [
            build_frame(
                "daily_close", times, {name: values * 33 for name, values in coin.items()} | {"close_usd": LESSON}
            ),
            build_frame("market_data", [hour + 60], {**coin, "price_usd": [50_000.0]}),
            build_frame(
                "network_data",
                [hour + 60],
                {**coin, "source": ["mempool.space"], "network_difficulty": [1e14], "block_reward": [3.125]},
            ),
        ]
    )
    store.close()
    return tmp_path


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    store = EmbeddedStore(folder / "lake")
    found: list[dict[str, Any]] = store.read(MEASUREMENTS[name], Tier.RAW, 0, 2**32).to_pylist()
    store.close()
    return found


async def test_indicators_and_the_value_of_mining_are_derived_once(lake):
    from flows.derive_market import derive_market

    first = await derive_market(str(lake / "config"), return_state=True)
    assert first.message == "33 rows of indicators, 1 values of mining"
    indicators = rows(lake, "market_indicator")
    assert [round(row["rsi_14"], 4) for row in indicators[14:]] == STRENGTHS
    assert [row["rsi_14"] for row in indicators[:14]] == [None] * 14
    (value,) = rows(lake, "mining_profitability")
    # 86,400 s x 1e12 H/s x 3.125 BTC / (1e14 x 2^32) x 50,000 USD
    assert value["usd_th_day"] == pytest.approx(0.0314321, rel=1e-5)
    assert (value["algorithm"], value["coins"], value["source"]) == ("sha256d", "bitcoin", "mempool.space")
    again = await derive_market(str(lake / "config"), return_state=True)
    assert again.message == "0 rows of indicators, 0 values of mining"
    assert rows(lake, "market_indicator") == indicators


async def test_nothing_collected_is_nothing_derived(api, tmp_path, monkeypatch):
    from flows.derive_market import derive_market

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    state = await derive_market(return_state=True)
    assert state.message == "0 rows of indicators, 0 values of mining"
