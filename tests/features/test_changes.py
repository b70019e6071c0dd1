"""What became known between two moments: together each version once, whatever publication does in between."""

from __future__ import annotations

import random
from pathlib import Path

from storage.downsample.run import roll_up
from storage.features.changes import first_known, rows_known_in, settled_until
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.table import feature_table, published
from storage.features.views import VIEWS
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, HOURLY, KEPT, T, follow, poll
from tests.warehouse.seed import frame_of


def test_steps_of_an_export_are_every_version_once(tmp_path: Path) -> None:
    drawn, store, lake = random.Random(3), MemoryStore(), tmp_path / "lake"
    poll(store, ["m1", "m2"], T - 3 * HOUR, 9e13, at=T - 2 * HOUR)  # from before the feature store
    taken, watermark = [], -1
    for hour in range(4):
        now = T + (hour + 1) * HOUR + 300
        poll(store, ["m1", "m2", "m3"], T + hour * HOUR, 1e14, at=now - 200)
        poll(store, ["m1"], T + drawn.randrange(hour + 1) * HOUR, drawn.uniform(1e12, 2e14), at=now - 100)
        follow(store, tmp_path, now)
        assert first_known(lake, HOURLY) == T - 3 * HOUR + HOUR + 1800  # backfilled: half an hour after its end
        if hour == 1:
            continue  # the export of this hour fails
        until = settled_until(lake, HOURLY)
        assert until == now
        first = rows_known_in(lake, HOURLY, watermark, until)
        assert first.equals(rows_known_in(lake, HOURLY, watermark, until))
        taken += first.select(["miner_id", "time", "known", "hashrate_hs"]).to_pylist()
        watermark = until
    everything = published(feature_table(lake, HOURLY), HOURLY).select(["miner_id", "time", "known", "hashrate_hs"])
    assert [row["known"] for row in taken] == sorted(row["known"] for row in taken)
    assert sorted(map(repr, taken)) == sorted(map(repr, everything.to_pylist()))
    assert len(taken) >= 2 + 4 * 3
    assert rows_known_in(lake, HOURLY, watermark, watermark + 10 * HOUR).num_rows == 0


def test_what_was_exported_stays_so_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """Rows written after a step are known later than it, by whatever clock: else the next step would skip them."""
    store, lake = MemoryStore(), tmp_path / "lake"
    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    follow(store, tmp_path, T + 2 * HOUR)
    until = settled_until(lake, HOURLY)
    assert until == T + 2 * HOUR
    poll(store, ["m2"], T, 2e14, at=T + HOUR + 1)
    follow(store, tmp_path, T + HOUR + 600)  # an hour and a half earlier
    (row,) = rows_known_in(lake, HOURLY, until, until + 60).to_pylist()
    assert (row["miner_id"], row["known"], row["backfilled"]) == ("m2", until + 1, False)


def test_rows_are_known_from_when_they_are_written_not_from_when_the_run_began(tmp_path: Path) -> None:
    store, lake = MemoryStore(), tmp_path / "lake"
    follow(store, tmp_path, T)
    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    roll_up(store, T + HOUR + 300, measurements=["miner_telemetry"], retention_days=KEPT)
    with OnlineStore(tmp_path / "online.sqlite") as online:
        publish(store, lake, online, T + HOUR + 300, KEPT, views=[HOURLY], clock=lambda: T + HOUR + 342)
    assert rows_known_in(lake, HOURLY, T, T + HOUR + 341).num_rows == 0
    assert rows_known_in(lake, HOURLY, T + HOUR + 341, T + HOUR + 342).num_rows == 1


def test_a_publication_that_stopped_early_settles_nothing(tmp_path: Path) -> None:
    store, lake = MemoryStore(), tmp_path / "lake"
    poll(store, ["m1"], T, 1e14, at=T + HOUR)
    roll_up(store, T + HOUR + 300, measurements=["miner_telemetry"], retention_days=KEPT)
    with OnlineStore(tmp_path / "online.sqlite") as online:
        publish(store, lake, online, T + HOUR + 300, KEPT, views=[HOURLY], stop=lambda: True)
    assert settled_until(lake, HOURLY) is None
    assert first_known(lake, HOURLY) is None


def test_entities_of_several_tags_have_a_column_for_each(tmp_path: Path) -> None:
    market, store, lake = VIEWS["market"], MemoryStore(), tmp_path / "lake"
    row = {"time": T + 60, "source": "a/b", "coin_id": "bitcoin", "price_usd": 91_000.0}
    store.write([frame_of("market_data", [row])])
    follow(store, tmp_path, T + 300, (market,))
    (told,) = rows_known_in(lake, market, -1, T + 300).to_pylist()
    assert (told["coin_id"], told["source"], told["price_usd"]) == ("bitcoin", "a/b", 91_000.0)
    assert told["time"].timestamp() == T + 60
