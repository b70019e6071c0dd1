"""The stream to the fake: windows worked out as hours are, micro-batches, faults. Kills: test_killed.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from tasks.abacus.definition import definitions_of
from tasks.abacus.exporting import stream_groups
from tasks.abacus.journal import JournalFile
from tasks.abacus.registration import Registry
from tasks.abacus.streaming import Stream, StreamReport, window_rows
from tests.abacus.conftest import KEY, MINER, endpoints_of, settings
from tests.abacus.stepped import SteppedAbacus, SteppedFile
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import T, poll
from tests.warehouse.seed import frame_of

WINDOW = 300
DAILY = {**MINER, "name": "by_day", "view": "miner_daily"}
UPTIME = {
    "name": "operational", "entity_id_column": "miner_id", "features": [{"name": "uptime_percentage", "type": "FLOAT"}],
}  # fmt: skip
MONEY_BY_DAY = {
    "name": "profit_daily", "entity_id_column": "miner_id", "features": [{"name": "revenue", "type": "FLOAT"}],
}  # fmt: skip
PRICES = {
    "name": "market_data", "entity_id_column": "coin.id", "features": [{"name": "price_usd", "type": "FLOAT"}],
}  # fmt: skip


def readings(store: MemoryStore, first: int, stop: int, rate: float = 1e14, miners: int = 2) -> None:
    """A reading a minute of each miner, whose counter of shares grows by ten a minute."""
    rows = [
        {"time": time, "miner_id": f"m{miner}", "model": "S19", "reachable": True, "state": "mining"}
        | {"hashrate_hs": rate + (time - first), "power_w": 3000.0, "shares_accepted": 10 * ((time - T) // 60 + 100)}
        for miner in range(miners)
        for time in range(first, stop, 60)
    ]
    store.write([frame_of("miner_telemetry", rows)])


class Streaming:
    """A host that streams a group to the fake."""

    def __init__(self, fake: FakeAbacus, root: Path, store: MemoryStore, **ingestion: Any) -> None:
        self.fake, self.root, self.store = fake, root, store
        self.settings = settings(fake.url, **ingestion)
        (self.definition,) = definitions_of(self.settings.feature_groups)
        self.step: Callable[[], None] = lambda: None

    def run(self, now: int) -> StreamReport:
        endpoints = endpoints_of(self.settings)
        abacus = SteppedAbacus(SecretStr(KEY), endpoints, self.settings.data_ingestion, sleep=lambda _: None)
        abacus.host = self
        try:
            registry = Registry(abacus, "mining", "test")
            file = SteppedFile(self.root, "miner_telemetry_online")
            file.host = self
            group = registry.online(self.definition, "miner_telemetry", file.writer())
            stream = Stream(abacus, self.definition, group, file, self.store, window_s=WINDOW, batch_rows=3)
            return stream.run(now)
        finally:
            abacus.close()

    def keys(self) -> list[str]:
        return sorted(row["record_id"] for row in self.fake.rows("miner_telemetry_online"))


@pytest.fixture
def store():
    made = MemoryStore()
    readings(made, T, T + 1800)
    return made


def expected(minutes: range, miners: int = 2) -> list[str]:
    return sorted(f"m{miner}|2026-11-23T00:{minute:02d}:00Z" for miner in range(miners) for minute in minutes)


def test_a_window_is_worked_out_as_an_hour_is(store):
    (definition,) = definitions_of(settings().feature_groups)
    rows = window_rows(definition, store, T + 300, T + 900, WINDOW).to_pylist()
    assert [(row["miner_id"], int(row["time"].timestamp()) - T) for row in rows] == [
        ("m0", 600), ("m0", 900), ("m1", 600), ("m1", 900),
    ]  # fmt: skip
    # by hand: readings at 300, 360, 420, 480, 540 s, of 1e14 H/s + seconds: mean 1e14 + 420; 5 minutes of 10 shares
    assert rows[0]["hashrate_hs"] == pytest.approx(1e14 + 420, abs=1e-1)
    assert (rows[0]["shares_accepted"], rows[0]["polls"], rows[0]["power_w"]) == (50, 5, 3000.0)


def test_raw_rows_are_streamed_as_they_are():
    store = MemoryStore()
    coins: dict[str, Sequence[Value]] = {
        "source": ["coingecko"] * 3,
        "coin_id": ["bitcoin"] * 3,
        "price_usd": [1.0, 2.0, 3.0],
    }
    store.write([build_frame("market_data", [T, T + 10, T + 300], coins)])
    (definition,) = definitions_of(settings(groups=[PRICES]).feature_groups)
    first = window_rows(definition, store, T, T + 300, WINDOW)
    assert first["price_usd"].to_pylist() == [2.0, 3.0]  # after the start, through the end: each row in one window
    assert window_rows(definition, store, T - 300, T, WINDOW)["price_usd"].to_pylist() == [1.0]


def test_closed_windows_are_there_once_in_micro_batches(fake, tmp_path, store):
    host = Streaming(fake, tmp_path, store)
    report = host.run(T + 600 + 29)  # the window to 00:10 is not closed for good yet
    assert (report.rows, report.batches, report.watermark) == (2, 1, T + 300)
    report = host.run(T + 1500 + 31)
    assert (report.rows, report.batches, report.watermark) == (8, 3, T + 1500)  # of three rows at most
    assert host.keys() == expected(range(5, 30, 5))
    assert host.run(T + 1500 + 40).rows == 0
    assert (fake.count("appendMultipleData"), fake.count("upsertData")) == (4, 0)
    row = next(row for row in fake.rows("miner_telemetry_online") if row["record_id"] == "m0|2026-11-23T00:10:00Z")
    assert row["timestamp"] == "2026-11-23T00:10:00Z"
    assert row["hashrate_th_s"] == pytest.approx(100, rel=1e-6)


@pytest.mark.parametrize("kind", ["lost", "error_500", "html", "cut"])
def test_an_append_of_unknown_outcome_is_upserted(fake, tmp_path, store, kind):
    host = Streaming(fake, tmp_path, store)
    fake.faults.add(Fault(kind, "appendMultipleData"), Fault("lost", "upsertData"))
    host.run(T + 1500 + 31)
    host.run(T + 1800 + 31)
    assert host.keys() == expected(range(25, 35, 5))
    assert fake.count("upsertData") >= 2


def test_an_append_that_was_asked_for_too_fast_is_appended_later(fake, tmp_path, store):
    """The service did not do it, and says so: no reason to ask it for every row by itself."""
    host = Streaming(fake, tmp_path, store, max_retries=1)
    fake.faults.add(Fault("rate_limited", "appendMultipleData"))
    assert host.run(T + 300 + 31).rows == 2
    fake.faults.add(Fault("rate_limited", "appendMultipleData", times=2))
    with pytest.raises(TryAgain, match="status 429"):
        host.run(T + 600 + 31)
    assert host.run(T + 600 + 31).rows == 2
    assert host.keys() == expected(range(5, 15, 5))
    assert fake.count("upsertData") == 0


def test_a_file_that_was_lost_holds_up_no_other(fake, tmp_path, store, caplog):
    host = Streaming(fake, tmp_path, store, max_retries=0)
    host.run(T + 300 + 31)
    fake.faults.add(Fault("outage", "appendMultipleData", times=1), Fault("outage", "upsertData", times=1))
    with pytest.raises(TryAgain):
        host.run(T + 900 + 31)
    first, _ = sorted((tmp_path / "miner_telemetry_online").glob("batch-*"))
    first.write_bytes(first.read_bytes()[:-5])
    assert host.run(T + 900 + 31).rows == 1  # of four
    assert "batch-00000002.jsonl is gone or damaged, its rows are left to the export" in caplog.text


def test_a_second_host_does_not_stream_every_row_once_more(fake, tmp_path, store):
    host = Streaming(fake, tmp_path / "first", store)
    host.run(T + 300 + 31)
    other = Streaming(fake, tmp_path / "second", store)
    with pytest.raises(NeedsHuman, match="Another host, or this one before it lost its journal, streams to miner_tel"):
        other.run(T + 600 + 31)
    host.run(T + 600 + 31)
    assert host.keys() == expected(range(5, 15, 5))
    group = fake.group("miner_telemetry_online")
    (claim,) = (tag for tag in group["tags"] if tag.startswith("streamed-by:"))
    fake.backend.shelf.put(
        "featureGroup", group["featureGroupId"], group | {"tags": [tag for tag in group["tags"] if tag != claim]}
    )
    assert other.run(T + 900 + 31).rows == 2
    with pytest.raises(NeedsHuman, match=r"take the tag streamed-by:\w+ off there"):
        host.run(T + 900 + 31)


@pytest.mark.parametrize(("ours", "goes_on"), [("a", True), ("c", False)])
def test_of_two_hosts_that_begin_at_once_one_gives_way(fake, tmp_path, store, monkeypatch, ours, goes_on):
    host = Streaming(fake, tmp_path, store)
    monkeypatch.setattr("tests.abacus.stepped.SteppedFile.writer", lambda _: ours)
    tag = Registry._tag

    def meanwhile(self: Registry, group: Any, tags: list[str]) -> None:
        tag(self, group, tags)
        if tags == [f"streamed-by:{ours}"]:
            tag(self, group, ["streamed-by:b"])

    monkeypatch.setattr(Registry, "_tag", meanwhile)
    if goes_on:
        assert host.run(T + 300 + 31).rows == 2
    else:
        with pytest.raises(NeedsHuman, match="Another host"):
            host.run(T + 300 + 31)
        assert "streamed-by:c" not in fake.group("miner_telemetry_online")["tags"]


def test_an_outage_is_caught_up_with_and_what_is_too_old_is_counted(fake, tmp_path, store):
    host = Streaming(fake, tmp_path, store, max_retries=0)
    host.run(T + 300 + 31)
    fake.faults.add(Fault("outage", "appendMultipleData", times=99), Fault("outage", "upsertData", times=99))
    with pytest.raises(TryAgain, match="a row of miner_telemetry_online"):
        host.run(T + 900 + 31)
    fake.faults.clear()
    assert host.run(T + 1500 + 31).rows == 8
    assert host.keys() == expected(range(5, 30, 5))
    report = host.run(T + 1500 + 2 * 86_400 + 31)
    assert report.skipped == 288  # a day of windows: the export has what was in them
    assert JournalFile(tmp_path, "miner_telemetry_online").load_stream().windows_skipped == 288


def test_a_rejected_row_is_kept_with_the_reason_and_the_rest_goes(fake, tmp_path, store):
    fake.backend.rejects = lambda row: "too hot" if row["record_id"] == "m1|2026-11-23T00:05:00Z" else None
    report = Streaming(fake, tmp_path, store).run(T + 300 + 31)
    assert (report.rows, report.rejected) == (1, 1)
    (letter,) = JournalFile(tmp_path, "miner_telemetry_online").rejected()
    assert letter.record_id == "m1|2026-11-23T00:05:00Z"
    assert "too hot" in letter.reason
    assert letter.row["miner_id"] == "m1"


def test_a_table_of_another_definition_is_left_alone(fake, tmp_path, store):
    host = Streaming(fake, tmp_path, store)
    host.run(T + 300 + 31)
    (host.definition,) = definitions_of(settings(groups=[{**MINER, "features": MINER["features"][:1]}]).feature_groups)
    with pytest.raises(NeedsHuman, match="miner_telemetry_online that Lodeline did not make for this definition"):
        host.run(T + 600 + 31)


def test_what_is_derived_of_an_hour_is_streamed_once_it_was_derived(fake, tmp_path):
    """Derived at half past the next hour, as flow derive-metrics does it: a window that ends with the hour is long over
    by then, and closed, if it closes as one of readings does.
    """
    store = EmbeddedStore(tmp_path / "lake")
    said, storage = settings(fake.url, [UPTIME, MONEY_BY_DAY]), StorageSettings(data_directory=tmp_path)
    endpoints = endpoints_of(said)
    stream_groups(said, endpoints, storage, clock=lambda: T + 3300)
    worked = {"time": T, "miner_id": "m1", "time_period": "1h", "uptime_percentage": 97.5}
    for at in range(T + 3600, T + 7200 + 900, 900):
        if at == T + 3600 + 1800:
            store.write([frame_of("operational_metrics", [worked])])
        results = stream_groups(said, endpoints, storage, clock=partial(float, at + 40))
        assert [(result.name, result.trouble) for result in results] == [("operational", "")]
    store.close()
    (row,) = fake.rows("operational_online")
    assert (row["record_id"], row["uptime_percentage"]) == ("m1|2026-11-23T01:00:00Z", 97.5)


def test_all_groups_but_those_by_the_day(fake, tmp_path):
    store = EmbeddedStore(tmp_path / "lake")
    poll(store, ["m1"], T, 1e14, at=T + 10)
    store.close()
    said = settings(fake.url, [{**MINER, "features": MINER["features"][:1]}, DAILY, MONEY_BY_DAY])
    storage = StorageSettings(data_directory=tmp_path)
    (result,) = stream_groups(said, endpoints_of(said), storage, clock=lambda: T + 931)
    assert result.report is not None
    assert (result.name, result.trouble, result.report.rows) == ("miner_telemetry", "", 1)
    (row,) = fake.rows("miner_telemetry_online")
    assert row["record_id"] == "m1|2026-11-23T00:15:00Z"
