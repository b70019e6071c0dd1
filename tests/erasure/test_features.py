"""An entity leaves the feature tables and the online store as well, old versions of views too; others stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.features import erase_from_online
from storage.erasure.lake import erase_from_lake
from storage.erasure.proof import search
from storage.erasure.run import erase
from storage.errors import TryAgain
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.table import feature_table, published
from storage.features.turn import turn
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from storage.settings import ONLINE_FEATURES
from storage.store import Store
from tests.downsample.memory_store import MemoryStore
from tests.erasure.host import GONE, HOST, OTHERS, places
from tests.erasure.test_erase import NOW, WHOLE
from tests.features.farm import HOUR, HOURLY, KEPT, T, poll
from tests.warehouse.seed import frame_of

MARKET = VIEWS["market"]
OLD = dataclasses.replace(HOURLY, version=0)


def entities(data: Path, view: FeatureView) -> set[tuple[str, int]]:
    rows = published(feature_table(data / "lake", view), view)
    return {(row["entity"], int(row["time"].timestamp()) - T) for row in rows.to_pylist()}


def online_entities(data: Path, view: FeatureView) -> list[str]:
    with OnlineStore(data / ONLINE_FEATURES) as online:
        return online.entities(view)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hours of four miners, published under this version of the view and one before, and prices of two coins."""
    store: Store = MemoryStore()
    with OnlineStore(tmp_path / ONLINE_FEATURES) as online:
        for hour in (T, T + HOUR):
            poll(store, [GONE, *OTHERS], hour, 1e14, at=hour + HOUR)
        coins = [{"time": T, "source": "coingecko", "coin_id": coin, "price_usd": 1.0} for coin in ("bitcoin", "kaspa")]
        store.write([frame_of("market_data", coins)])
        roll_up(store, T + 3 * HOUR, measurements=["miner_telemetry"], retention_days=KEPT)
        publish(store, tmp_path / "lake", online, T + 3 * HOUR, KEPT, views=[HOURLY, MARKET])
    old = published(feature_table(tmp_path / "lake", HOURLY), HOURLY)
    feature_table(tmp_path / "lake", OLD).append([(0, old.drop_columns(["entity"]))])
    return tmp_path


def test_nothing_of_it_is_left_and_all_of_the_others(data: Path) -> None:
    before = {view.version: entities(data, view) for view in (HOURLY, OLD)}
    assert before[0] == before[1] == {(name, hour) for name in (GONE, *OTHERS) for hour in (HOUR, 2 * HOUR)}
    done = erase(places(data), WHOLE, host=HOST, actor="test", now=NOW)
    assert done.is_done, done
    assert not search([data], WHOLE, whole=True).hits
    for view in (HOURLY, OLD):
        assert entities(data, view) == {(name, time) for name, time in before[1] if name != GONE}
    assert done.counts["features_rows"] == 1
    assert online_entities(data, HOURLY) == sorted(OTHERS)
    held = (data / ONLINE_FEATURES).read_bytes()
    for other in (OTHERS[0], OTHERS[2]):  # their names begin with its own
        held = held.replace(other.encode(), b"")
    assert GONE.encode() not in held
    assert len(entities(data, MARKET)) == 2


def test_of_a_range_the_hours_that_were_made_of_it_go(data: Path) -> None:
    """An hour is of its end: that of T stands at T + 1 h. The range cuts the first hour, the second stays."""
    part = Entity({"miner_id": GONE}, T + 600, T + 1200)
    assert erase_from_online(data / ONLINE_FEATURES, part).rows == 0  # the newest hour is another
    erase_from_lake(data / "lake", part)
    assert {time for name, time in entities(data, HOURLY) if name == GONE} == {2 * HOUR}
    assert {time for name, time in entities(data, HOURLY) if name == OTHERS[0]} == {HOUR, 2 * HOUR}
    later = Entity({"miner_id": GONE}, T + HOUR, T + 2 * HOUR)
    assert erase_from_online(data / ONLINE_FEATURES, later).rows == 1


def test_an_entity_of_two_tags_goes_by_both(data: Path) -> None:
    nobody = Entity({"coin_id": "bitcoin", "source": "coinmarketcap"}, 0, NOW)
    coin = Entity({"coin_id": "bitcoin", "source": "coingecko"}, 0, NOW, frozenset({"market_data"}))
    for entity, left in ((nobody, 2), (coin, 1)):
        erase_from_lake(data / "lake", entity)
        erase_from_online(data / ONLINE_FEATURES, entity)
        assert len(entities(data, MARKET)) == len(online_entities(data, MARKET)) == left
        assert len(online_entities(data, HOURLY)) == 4


def test_while_features_are_published_it_is_told_and_the_case_stays_open(data: Path) -> None:
    """What a publication has read before the erasure it would add after it."""
    with turn(data / "lake"), pytest.raises(TryAgain, match="Features are being published"):
        erase(places(data), WHOLE, host=HOST, actor="test", now=NOW)
    assert erase(places(data), WHOLE, host=HOST, actor="test", now=NOW).is_done
