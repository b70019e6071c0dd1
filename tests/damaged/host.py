"""A host with files that get damaged, and what is looked at there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.archive.catalogue import Catalogue
from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.damaged.case import Case
from storage.damaged.lake import live_parts
from storage.damaged.putting_back import Back, put_back
from storage.damaged.setting_aside import Damage
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import DECLARED_DAYS, RollupReport, roll_up
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.downsample.test_run import polls
from tests.lake.rows import FAN, NOON, record, tick

HOUR, DAY = 3600, 86_400
LATER = NOON + DAY
TELEMETRY = MEASUREMENTS["miner_telemetry"]


class Host:
    """A host whose lake is its store: three ticks of fans in the hour after noon, one in the hour after that."""

    def __init__(self, folder: Path) -> None:
        self.data, self.lake, self.archive = folder, folder / "lake", folder / "archive"
        self.sink = LakeSink(self.lake, "host")
        for sequence in (1, 2, 3):
            self.sink.deliver([tick(sequence)])
        self.sink.deliver([tick(4, time=NOON + HOUR)])

    @property
    def damage(self) -> Damage:
        """As each command opens it anew."""
        store = EmbeddedStore(self.lake)
        return Damage(self.data, "host", self.lake, store, Catalogue.open(self.archive), DECLARED_DAYS)

    def cases(self, measurement: str | None = None) -> list[Case]:
        troubles: list[str] = []
        found = [case for case in self.damage.search(measurement, None, None, troubles) if case is not None]
        assert troubles == []
        return found

    def set_aside(self, path: Path, now: int = LATER) -> None:
        damage = self.damage
        if (live := damage.live(str(path))) is None:
            damage.finish(str(path), why="disk", actor="test")
        else:
            damage.set_aside(live, damage.case(live), why="disk", actor="test", now=now)

    def put_back(self, path: Path, **more: Any) -> Back:
        return put_back(self.damage, str(path), why="found", actor="test", **more)

    def told(self, kind: AuditKind = AuditKind.SET_ASIDE) -> list[str | None]:
        entries = Trail.open(self.data, "host").entries()
        return [entry.subject for entry in entries if entry.kind == kind]

    def speeds(self) -> list[int]:
        """Each tick's rows tell its number."""
        rows = EmbeddedStore(self.lake).read(FAN, Tier.RAW, 0, NOON * 2)
        return sorted(set(rows["speed_rpm"].to_pylist()))


def flip(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x20
    path.write_bytes(content)
    return bytes(content)


def second(host: Host) -> Path:
    """The file of the second tick."""
    (path,) = (part.path for part in live_parts(LakeTable(host.lake, FAN, Tier.RAW)) if part.first == NOON + 120)
    assert isinstance(path, Path)
    return path


class Killed(BaseException):
    pass


def telemetry(host: Host) -> tuple[list[Path], EmbeddedStore]:
    """Two files of noon (100 and 300 H/s), one of the next hour; all rolled up."""
    for sequence, (second_, rate) in enumerate([(0, 100.0), (60, 300.0), (HOUR, 500.0)], start=11):
        host.sink.deliver([record(sequence, polls([("m0", NOON + second_, rate, 1)]))])
    store = EmbeddedStore(host.lake)
    rolled_up(store)
    parts = sorted(live_parts(LakeTable(host.lake, TELEMETRY, Tier.RAW)), key=lambda part: part.first)
    return [Path(str(part.path)) for part in parts], store


def rolled_up(store: EmbeddedStore, now: int = NOON + 2 * DAY) -> RollupReport:
    return roll_up(store, now, measurements=[TELEMETRY.name])


def hours(store: EmbeddedStore) -> list[float]:
    return store.read(TELEMETRY, Tier.HOURLY, 0, NOON * 2)["hashrate_hs_mean"].to_pylist()  # type: ignore[no-any-return]


def one_row(schema: pa.Schema) -> pa.Table:
    """A row of ``schema`` at noon, with a 1 in each column."""
    columns = [
        pa.array([NOON * 1_000_000 if field.name == "time" else 1], pa.int64()).cast(field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def damaged_file(table: LakeTable) -> Path:
    table.append([(0, one_row(table.schema))])
    (part,) = live_parts(table)
    flip(path := Path(str(part.path)))
    return path
