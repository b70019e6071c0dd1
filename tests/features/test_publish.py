"""Publication adds what is new or corrected, known from then on; the same again adds nothing; kills are harmless."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.declaration import Tier, Type
from storage.downsample.run import roll_up
from storage.downsample.touch import touched_frame
from storage.errors import NeedsHuman
from storage.features import publish as publishing
from storage.features.books import Books
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.registry import FINGERPRINTS, require_registered
from storage.features.rows import entity_values
from storage.features.table import feature_table, published
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from storage.lake.scrub import scrub
from storage.spool.record import Batch, SpoolRecord
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import DAY, HOUR, HOURLY, KEPT, T, follow, poll
from tests.warehouse.seed import frame_of

TH = 1e12
START = T + 5 * HOUR


def history(folder: Path, miner: str = "m1") -> list[tuple[int, int, bool, float | None]]:
    """(event, known, backfilled, hashrate) of every version, times in minutes after T."""
    rows = OfflineStore(folder / "lake").history(HOURLY, miner, T, T + 40 * DAY, ["hashrate_hs"]).to_pylist()
    minutes = [(row["time"].timestamp() - T, row["known"].timestamp() - T) for row in rows]
    return [
        (int(event) // 60, int(known) // 60, row["backfilled"], row["hashrate_hs"])
        for (event, known), row in zip(minutes, rows, strict=True)
    ]


@pytest.fixture
def begun(tmp_path: Path) -> MemoryStore:
    """A feature store that has begun at 05:10 with nothing in it."""
    store = MemoryStore()
    follow(store, tmp_path, START + 600)
    return store


def test_an_hour_is_of_its_end_and_known_from_its_publication(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR)
    assert follow(begun, tmp_path, START + HOUR + 300).rows == {"miner_hourly": 1}
    assert history(tmp_path) == [(360, 365, False, 100 * TH)]
    reading = OfflineStore(tmp_path / "lake").get(HOURLY, "m1", START + HOUR + 299)
    assert (reading.values["hashrate_hs"], reading.reasons["hashrate_hs"]) == (None, "absent")
    reading = OfflineStore(tmp_path / "lake").get(HOURLY, "m1", START + HOUR + 300)
    assert reading.values["hashrate_hs"] == 100 * TH
    assert reading.values["energy_j"] == pytest.approx(3000 * HOUR)
    assert reading.values["ambient_temp_c"] is None
    assert reading.reasons["ambient_temp_c"] == "missing"


def test_the_same_again_writes_nothing(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1", "m2"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    table = feature_table(tmp_path / "lake", HOURLY)
    before = table.snapshot(fresh=True)
    again = follow(begun, tmp_path, START + HOUR + 600)
    after = table.snapshot(fresh=True)
    assert (again.rows, again.online) == ({}, 0)
    assert before is not None
    assert after is not None
    assert before.version == after.version


def test_late_readings_are_a_correction_and_the_past_stays_what_it_was(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    poll(begun, ["m1"], START, 40 * TH, at=START + 3 * HOUR)  # the same readings, put right
    poll(begun, ["m1"], START + HOUR, 90 * TH, at=START + 3 * HOUR)  # an hour that was not there at all
    follow(begun, tmp_path, START + 3 * HOUR + 300)
    assert history(tmp_path) == [(360, 365, False, 100 * TH), (360, 485, False, 40 * TH), (420, 485, False, 90 * TH)]
    lake = OfflineStore(tmp_path / "lake")
    times = np.array([START + HOUR + 300, START + 3 * HOUR + 299, START + 3 * HOUR + 300])
    told = lake.join(HOURLY, ["m1"] * 3, times, ["hashrate_hs"])["hashrate_hs"].to_pylist()
    assert told == [100 * TH, 100 * TH, 90 * TH]


def test_rows_of_before_are_dated_as_they_would_have_come_and_later_ones_never(tmp_path: Path) -> None:
    store = MemoryStore()
    poll(store, ["m1"], T, 100 * TH, at=T + HOUR)  # came at once: known half an hour after its end
    poll(store, ["m1"], T + HOUR, 90 * TH, at=T + 4 * HOUR)  # came two hours late: known after that
    follow(store, tmp_path, T + 10 * HOUR)
    assert history(tmp_path) == [(60, 90, True, 100 * TH), (120, 270, True, 90 * TH)]
    poll(store, ["m1"], T + 2 * HOUR, 80 * TH, at=T + 12 * HOUR)
    follow(store, tmp_path, T + 12 * HOUR + 300)
    assert history(tmp_path)[-1] == (180, 725, False, 80 * TH)


def test_a_row_that_its_source_no_longer_has_is_withdrawn(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1", "m2"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    for name in ("miner_telemetry", "miner_telemetry_hourly"):
        for key in [key for key in begun.rows[name] if "m1" in repr(key)]:
            del begun.rows[name][key]
    poll(begun, ["m2"], START, 100 * TH, at=START + 2 * HOUR)  # makes the hour due
    follow(begun, tmp_path, START + 2 * HOUR + 300)
    assert history(tmp_path) == [(360, 365, False, 100 * TH), (360, 425, False, None)]
    assert len(history(tmp_path, "m2")) == 1
    follow(begun, tmp_path, START + 2 * HOUR + 600)
    assert len(history(tmp_path)) == 2


def test_features_are_kept_as_long_as_their_source(begun: MemoryStore, tmp_path: Path) -> None:
    """31 days later, of 30 that are kept, the file of the first day goes with the publication of another."""
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    later = START + 31 * DAY
    poll(begun, ["m1"], later, 100 * TH, at=later + HOUR)
    report = follow(begun, tmp_path, later + HOUR + 300)
    assert (report.rows, report.files_expired) == ({"miner_hourly": 1}, 1)
    assert [event for event, *_ in history(tmp_path)] == [(later + HOUR - T) // 60]


def test_the_daily_check_of_the_lake_finds_a_flipped_bit_in_them(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    table = feature_table(tmp_path / "lake", HOURLY)
    assert scrub(tmp_path / "lake", START, days=1, others=[table]).damaged == []
    (file,) = (tmp_path / "lake" / "features" / HOURLY.stored_name).glob("date=*/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (line,) = scrub(tmp_path / "lake", START, days=1, others=[table]).damaged
    assert file.name in line


def test_a_clock_set_back_does_not_hide_a_correction(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR)
    follow(begun, tmp_path, START + HOUR + 300)
    poll(begun, ["m1"], START, 40 * TH, at=START + HOUR + 1)
    follow(begun, tmp_path, START + HOUR + 200)
    assert OfflineStore(tmp_path / "lake").get(HOURLY, "m1", START + 2 * HOUR).values["hashrate_hs"] == 40 * TH


def test_a_miner_that_moved_within_the_hour_is_where_it_was_last(begun: MemoryStore, tmp_path: Path) -> None:
    poll(begun, ["m1"], START, 100 * TH, at=START + HOUR, site="south")
    rows = [{"time": START + 3599, "miner_id": "m1", "model": "S19", "site": "north", "reachable": True}]
    begun.write([frame_of("miner_telemetry", rows)])
    assert follow(begun, tmp_path, START + HOUR + 300).rows == {"miner_hourly": 1}
    assert OfflineStore(tmp_path / "lake").get(HOURLY, "m1", START + 2 * HOUR).values["site"] == "north"


class Killed(BaseException):
    """As kill -9 does: nothing is tidied up."""


@pytest.mark.parametrize(
    ("where", "name"),
    [(OnlineStore, "_put"), (Books, "write_days"), (publishing, "compact"), (Books, "write_settled"), (Books, "tidy")],
)
def test_killed_at_any_write_the_next_run_gives_the_same(
    where: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path, *, kill: bool) -> tuple[Any, Any]:
        store = MemoryStore()
        follow(store, folder, START + 600)
        for hour in range(2):
            poll(store, ["m1", "m2"], START + hour * HOUR, (100 + hour) * TH, at=START + (hour + 1) * HOUR)
            now = START + (hour + 1) * HOUR + 300
            if kill:
                with monkeypatch.context() as patch:
                    patch.setattr(where, name, _kill)
                    with pytest.raises(Killed):
                        follow(store, folder, now)
            follow(store, folder, now)
        with OnlineStore(folder / "online.sqlite") as online:
            newest = [online.get(HOURLY, miner, START + 4 * HOUR) for miner in ("m1", "m2")]
        return history(folder), newest

    assert run(tmp_path / "killed", kill=True) == run(tmp_path / "whole", kill=False)


def _kill(*_: Any, **__: Any) -> None:
    raise Killed


def test_every_view_is_what_its_version_was_registered_as() -> None:
    for view in VIEWS.values():
        require_registered(view)
    assert set(FINGERPRINTS) >= {view.stored_name for view in VIEWS.values()}


def test_a_changed_definition_under_the_same_version_is_refused(begun: MemoryStore, tmp_path: Path) -> None:
    changed = dataclasses.replace(HOURLY, ttl_s=1)
    with pytest.raises(NeedsHuman, match="Give a changed view a new version"):
        require_registered(changed)
    with pytest.raises(NeedsHuman, match="published with another definition"):
        Books(tmp_path / "lake").began(changed, START)
    assert dataclasses.replace(HOURLY, meaning="in other words").fingerprint == HOURLY.fingerprint


def test_raw_views_follow_their_source_too(tmp_path: Path) -> None:
    market = VIEWS["market"]
    store = MemoryStore()

    def price(time: int, usd: float) -> None:
        row = {"time": time, "source": "a/b", "coin_id": "bitcoin", "price_usd": usd}
        store.write([frame_of("market_data", [row])])

    follow(store, tmp_path, START, (market,))
    price(START + 60, 91_000.0)
    assert follow(store, tmp_path, START + 300, (market,)).rows == {"market": 1}
    price(START - 30 * HOUR, 90_000.0)  # late: the next hour's run looks that far back
    assert follow(store, tmp_path, START + 600, (market,)).rows == {}
    assert follow(store, tmp_path, START + HOUR, (market,)).rows == {"market": 1}
    with OnlineStore(tmp_path / "online.sqlite") as online:
        assert online.entities(market) == ["bitcoin/a%2Fb"]
        assert online.get(market, "bitcoin/a%2Fb", START + HOUR).values["price_usd"] == 91_000.0
        late = online.get(market, "bitcoin/a%2Fb", START + 60 + HOUR + 1)
        assert (late.values["price_usd"], late.reasons["price_usd"]) == (None, "expired")


def test_trouble_with_one_view_holds_up_no_other(tmp_path: Path) -> None:
    market, store = VIEWS["market"], MemoryStore()
    row = {"time": START, "source": "a", "coin_id": "bitcoin", "price_usd": 91_000.0}
    store.write([frame_of("market_data", [row])])
    follow(store, tmp_path, START + 60, (market, HOURLY))
    (file,) = (tmp_path / "lake" / "features" / market.stored_name).glob("date=*/*.parquet")
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    poll(store, ["m1"], START, 100 * TH, at=START + HOUR)
    with pytest.raises(NeedsHuman, match=r"^view market: lake table .* damaged.*All other views were published$"):
        follow(store, tmp_path, START + HOUR + 300, (market, HOURLY))
    assert history(tmp_path) == [(360, 365, False, 100 * TH)]
    books = Books(tmp_path / "lake")
    assert (books.settled(market), books.settled(HOURLY)) == (START + 60, START + HOUR + 300)
    file.write_bytes(content)
    follow(store, tmp_path, START + HOUR + 600, (market, HOURLY))
    assert Books(tmp_path / "lake").settled(market) == START + HOUR + 600


RAW = [view for view in VIEWS.values() if view.tier is Tier.RAW]


@pytest.mark.parametrize("view", RAW, ids=lambda view: view.name)
def test_every_view_of_raw_rows_tells_them_at_the_end_of_their_window(view: FeatureView, tmp_path: Path) -> None:
    """Numbers are numbered; of two periods of one measurement only the view's own is taken."""
    declared = view.measurement.field_by_name
    numbers = {f.name: at + 0.5 for at, f in enumerate(view.features) if f.name in declared and f.type is Type.FLOAT}
    tags = {tag: f"the {tag}" for tag in view.measurement.tag_names} | dict(view.where)
    store = MemoryStore()
    store.write([frame_of(view.measurement.name, [{"time": START - 2 * DAY, **tags, **numbers}])])
    if view.where:
        others = {**tags, **dict.fromkeys(view.where, "another")}
        store.write([frame_of(view.measurement.name, [{"time": START - 2 * DAY, **others, **numbers}])])
    assert follow(store, tmp_path, START, (view,)).rows == {view.name: 1}
    end = START - 2 * DAY + view.width_s
    (row,) = published(feature_table(tmp_path / "lake", view), view).to_pylist()
    assert int(row["time"].timestamp()) == end
    reading = OfflineStore(tmp_path / "lake").get(view, row["entity"], end + view.lag_s)
    assert {name: reading.values[name] for name in numbers} == numbers
    assert entity_values(view, row["entity"]) == [tags[tag] for tag in view.entity]


def test_hours_of_a_pool_s_worker(tmp_path: Path) -> None:
    view, store = VIEWS["pool_worker_hourly"], MemoryStore()
    worker = {"pool_id": "alpha", "worker_id": "farm.m1", "algorithm": "sha256d", "status": "online"}
    rows = [{"time": T + minute * 60, **worker, "hashrate_effective_hs": 2e14} for minute in range(0, 60, 10)]
    frames = [frame_of("pool_performance", rows)]
    store.write(frames)
    touched = touched_frame([SpoolRecord("pools", T, 0, Batch("b", T, "run", frames))], "host", T * 1_000_000_000)
    assert touched is not None
    store.write([touched])
    roll_up(store, T + 2 * HOUR, measurements=["pool_performance"], retention_days=KEPT)
    assert follow(store, tmp_path, T + 2 * HOUR, (view,)).rows == {view.name: 1}
    reading = OfflineStore(tmp_path / "lake").get(view, "alpha/farm.m1/sha256d", T + 2 * HOUR)
    assert (reading.values["hashrate_effective_hs"], reading.values["online_seconds"]) == (2e14, 3600)
