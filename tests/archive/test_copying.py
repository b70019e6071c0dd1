"""Of a host with InfluxDB and no lake, rows are in the archive before InfluxDB drops them."""

from __future__ import annotations

import datetime
import json
import os
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.archive.catalogue import Catalogue
from storage.archive.copying import Schedule, copy_table
from storage.archive.moving import ArchiveReport, archive_table
from storage.archive.reading import ArchiveReader
from storage.archive.restoring import restore
from storage.archive.verifying import verify
from storage.declaration import Tier
from storage.downsample.run import roll_up
from storage.downsample.touch import touched_frame
from storage.errors import TryAgain
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from tests.lake.rows import FAN, NOON, fan_frame, record

DAY = 86_400
MIDNIGHT = NOON // DAY * DAY
SPAN = (MIDNIGHT - DAY, MIDNIGHT + 2 * DAY)


class Host:
    """A store, here the embedded one in InfluxDB's place, and an archive."""

    def __init__(self, folder: Path) -> None:
        self.lake, self.archive = folder / "store", folder / "archive"
        self.store = EmbeddedStore(self.lake)
        self.catalogue = Catalogue.open(self.archive)

    def write(self, *rows: tuple[int, str, int | None]) -> None:
        self.store.write([fan_frame(rows)])

    def run(self, **more: Any) -> ArchiveReport:
        return copy_table(self.store, self.archive, FAN, Tier.RAW, SPAN, **more)

    def both(self) -> tuple[pa.Table, pa.Table]:
        """What the store answers, and what the archive does."""
        return self.store.read(FAN, Tier.RAW, *SPAN), ArchiveReader(self.archive).read(FAN, Tier.RAW, *SPAN)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.write(*((NOON + at, f"m{miner}", at) for at in range(0, 3 * 3600, 600) for miner in range(3)))
    made.write((NOON + DAY, "m0", None))
    return made


def test_whole_days_are_copied_and_read_as_from_the_store(host: Host) -> None:
    report = host.run()
    assert (report.files, report.rows, report.troubles) == (2, 55, [])
    stored, archived = host.both()
    assert archived.equals(stored)
    assert verify(host.catalogue, host.catalogue.parts(), read=True).faults == []


def test_the_same_run_again_adds_nothing(host: Host) -> None:
    host.run()
    assert host.run().files == 0


def test_rows_that_came_late_are_copied_and_count(host: Host) -> None:
    host.run()
    host.write((NOON + 600, "m1", 4242), (NOON + 700, "m9", 1))
    report = host.run()
    assert (report.files, report.rows) == (1, 55)  # the slice that they are in, whole
    stored, archived = host.both()
    assert archived.equals(stored)
    assert 4242 in archived["speed_rpm"].to_pylist()
    assert host.run().files == 0


def test_roll_ups_that_were_copied_twice_are_restored_once(tmp_path: Path) -> None:
    host = Host(tmp_path)

    def rolled(sequence: int, *rows: tuple[int, str, int]) -> pa.Table:
        host.write(*rows)
        touched = touched_frame([record(sequence, fan_frame(rows))], "host", sequence)
        assert touched is not None
        host.store.write([touched])
        roll_up(host.store, NOON + 2 * DAY, measurements=[FAN.name])
        assert copy_table(host.store, host.archive, FAN, Tier.HOURLY, SPAN).troubles == []
        return host.store.read(FAN, Tier.HOURLY, *SPAN)

    rolled(1, (NOON, "m0", 100), (NOON, "m1", 100), (NOON + 3600, "m0", 100))
    after = rolled(2, (NOON + 60, "m0", 300))  # late: the hour of m0 is another, and all of the slice is copied again
    assert [part.rows for part in host.catalogue.parts(FAN, Tier.HOURLY)] == [3, 3]
    for _ in range(2):
        restore(host.catalogue, host.catalogue.parts(), tmp_path / "restored")
        restored = EmbeddedStore(tmp_path / "restored").read(FAN, Tier.HOURLY, *SPAN)
        assert restored["speed_rpm_mean"].to_pylist() == [200.0, 100.0, 100.0]
        assert restored.equals(after)


def test_what_the_store_has_dropped_stays_archived(host: Host, tmp_path: Path) -> None:
    host.run()
    _, archived = host.both()
    host.store = EmbeddedStore(tmp_path / "empty")
    assert host.run().files == 0
    assert host.both()[1].equals(archived)


def test_copies_are_restored_as_anything_archived(host: Host, tmp_path: Path) -> None:
    host.run()
    stored, _ = host.both()
    assert restore(host.catalogue, host.catalogue.parts(), tmp_path / "restored").rows == 55
    assert restore(host.catalogue, host.catalogue.parts(), tmp_path / "restored").rows == 0
    assert EmbeddedStore(tmp_path / "restored").read(FAN, Tier.RAW, *SPAN).equals(stored)


def test_copies_stay_when_the_host_gets_a_lake(host: Host, tmp_path: Path) -> None:
    """A run over a lake brings copies of interrupted runs to their end; these are none."""
    host.run()
    _, before = host.both()
    archive_table(tmp_path / "lake", host.archive, FAN, Tier.RAW, SPAN[1])
    assert host.both()[1].equals(before)


def test_a_store_that_is_away_is_one_trouble_and_not_one_a_day(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def read(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise TryAgain("InfluxDB does not answer")

    monkeypatch.setattr(host.store, "read", read)
    (trouble,) = host.run().troubles
    assert "does not answer" in trouble
    assert asked == 1
    monkeypatch.undo()
    assert host.run().rows == 55


def copy_and_die(folder: Path, point: str, nth: int) -> None:
    """A run that is killed when it comes to ``point`` for the ``nth`` time."""
    from storage.archive import writing

    real = getattr(writing, point)
    calls = 0

    def mortal(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)

    setattr(writing, point, mortal)
    Host(folder).run()


@pytest.mark.faults
@pytest.mark.parametrize(("point", "nth"), [("write_draft", 2), ("sync", 1), ("sha256_of", 2), ("fault_of", 1)])
def test_killed_and_run_again_gives_the_same_bytes_once(host: Host, tmp_path: Path, point: str, nth: int) -> None:
    process = get_context("spawn").Process(target=copy_and_die, args=(tmp_path, point, nth))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    host.run()
    stored, archived = host.both()
    assert archived.equals(stored)
    copy_table(host.store, tmp_path / "undisturbed", FAN, Tier.RAW, SPAN)
    undisturbed = Catalogue.open(tmp_path / "undisturbed").parts()
    assert [(part.path, part.sha256) for part in host.catalogue.parts()] == [
        (part.path, part.sha256) for part in undisturbed
    ]
    assert {path.name for path in host.archive.rglob("*.parquet*")} == {Path(part.path).name for part in undisturbed}


def moment(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp())


@pytest.mark.parametrize(
    ("bucket", "days", "cron", "first", "before"),
    [
        # Thursday noon; the runs to come are those of 29 November and 6 December.
        ("mining_raw", 30, "0 0 * * 0", "2026-10-26", "2026-11-06"),
        ("mining_hourly", 180, "0 0 * * 0", "2026-04-30", "2026-06-09"),
        ("mining_raw", 30, "0 13 * * *", "2026-10-26", "2026-10-29"),  # daily: 26 and 27 November at 13:00
        ("mining_raw", 9, "0 0 * * 0", "2026-11-16", "2026-11-26"),  # never today, which is not over
    ],
)
def test_due_is_what_may_go_before_the_next_run_but_one(
    bucket: str, days: int, cron: str, first: str, before: str
) -> None:
    schedule = Schedule(cron, "UTC", moment("2026-11-26T12:00"))
    assert schedule.days_due(bucket, days) == (moment(first), moment(before))


def test_a_schedule_that_lets_rows_go_unseen_is_told() -> None:
    schedule = Schedule("0 0 * * 0", "UTC", moment("2026-11-26T12:00"))
    assert schedule.trouble("mining_raw", 8) is None
    assert "keeps 7 days and the archive runs 7.0 days apart" in str(schedule.trouble("mining_raw", 7))


@pytest.mark.parametrize("tier", [Tier.RAW, Tier.HOURLY])
def test_rows_of_influxdb_outlive_it(influx: InfluxSettings, tmp_path: Path, tier: Tier) -> None:
    store = InfluxStore(influx)
    try:
        store.write([fan_frame([(NOON + at, f"m{n}", at + n) for at in range(0, 7200, 60) for n in range(3)])])
        if tier is Tier.HOURLY:
            rows = fan_frame([(NOON + at, "m0", at) for at in range(0, 7200, 60)])
            touched = touched_frame([record(1, rows)], "host", NOON * 10**9)
            assert touched is not None
            store.write([touched])
            roll_up(store, NOON + DAY, measurements=[FAN.name])
        before = store.read(FAN, tier, *SPAN)
        assert before.num_rows == (360 if tier is Tier.RAW else 6)
        assert copy_table(store, tmp_path / "archive", FAN, tier, SPAN).troubles == []
        httpx.post(
            f"{influx.url}/query", params={"q": "DROP SERIES FROM /.*/", "db": FAN.buckets[tier]}, trust_env=False
        ).raise_for_status()
        assert store.read(FAN, tier, *SPAN).num_rows == 0
        assert ArchiveReader(tmp_path / "archive").read(FAN, tier, *SPAN).equals(before)
    finally:
        store.close()


def test_a_host_without_a_lake_archives_by_the_same_command(
    influx: InfluxSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "LODELINE_DATA_DIRECTORY": tmp_path / "data",
        "LODELINE_LAKE__ENABLED": "false",
        "LODELINE_INFLUX__URL": influx.url,
        "LODELINE_RETENTION__GENERAL__ARCHIVE_BASE_PATH": tmp_path / "archive",
        "LODELINE_RETENTION__RAW_DATA__MINER_TELEMETRY__HIGH_RESOLUTION__RETENTION_DAYS": "5",
        "LODELINE_RETENTION__ARCHIVING__SCHEDULE": "0 0 * * *",
    }.items():
        monkeypatch.setenv(name, str(value))
    now = int(time.time())
    old, young = now - 5 * DAY, now - DAY
    store = InfluxStore(influx)
    store.write([fan_frame([(old, "m0", 1), (young, "m0", 2)])])
    store.close()

    def lodeline(*words: str) -> str:
        result = CliRunner().invoke(app, [*words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "1 files with 1 rows moved" in lodeline("archive", "run")
    assert "0 files with 0 rows moved" in lodeline("archive", "run")
    (part,) = json.loads(lodeline("archive", "list", "--json"))
    assert (part["measurement"], part["first"], part["rows"]) == ("miner_fan", old, 1)
    assert "archived" in lodeline("audit")
