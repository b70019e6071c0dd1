"""The schema registry: which columns the files of a table have had, since when, and by which version of Lodeline.

It is kept from the files themselves: a file's name begins with the fingerprint of its columns, its footer has them. So
it knows what any host wrote, and made anew it says the same again. Versions of a table count from 1 in the order in
which upkeep met them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

from storage.declaration import Type
from storage.lake.damage import damage_named, sound
from storage.lake.location import LakeLocation
from storage.lake.meta import MetaTable
from storage.lake.parquet import VERSION_KEY
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable

SCHEMA_REGISTRY = MetaTable(
    "schema_registry",
    "schemas that files of the lake have had",
    ("table", "fingerprint"),
    {
        "measurement": Type.STRING,
        "tier": Type.STRING,
        "version": Type.INTEGER,
        "columns": Type.STRING,
        "lodeline": Type.STRING,
    },
)


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One schema of a table. ``since`` is the Unix time of its first file, ``columns`` maps name to type."""

    table: str
    version: int
    fingerprint: str
    since: int
    measurement: str
    tier: str
    columns: Mapping[str, str]
    lodeline: str

    def changes(self, before: SchemaVersion | None) -> str:
        """What is other than ``before``: ``+ name type`` came, ``- name`` went."""
        old = {} if before is None else before.columns
        came = [f"+ {name} {kind}" for name, kind in self.columns.items() if old.get(name) != kind]
        went = [f"- {name}" for name in old if name not in self.columns]
        return ", ".join([*came, *went]) if before is not None else f"{len(self.columns)} columns"


class Registry:
    """What is registered under ``root``."""

    def __init__(self, root: LakeLocation) -> None:
        self._root = root
        self._versions = [_version_of(row) for row in SCHEMA_REGISTRY.rows(root)]

    def of(self, table: str) -> list[SchemaVersion]:
        """Versions of one table, in order."""
        return sorted((known for known in self._versions if known.table == table), key=lambda known: known.version)

    @property
    def tables(self) -> list[str]:
        """Tables that have any."""
        return sorted({known.table for known in self._versions})

    def register(self, table: LakeTable, parts: Sequence[Part]) -> list[SchemaVersion]:
        """Enter schemas of ``parts`` that are not known yet, durably; those.

        Raises:
            DamagedFile: a file is not what was written.
        """
        known = self.of(table.name)
        seen = {version.fingerprint for version in known}
        new: list[SchemaVersion] = []
        for part in sorted(parts, key=lambda part: part.modified_ms):
            if part.schema not in seen:
                seen.add(part.schema)
                new.append(_read(table, part, len(seen)))
        for version in new:
            SCHEMA_REGISTRY.append(self._root, version.since, [_row_of(version)])
        self._versions += new
        return new

    def newer(self, table: LakeTable) -> frozenset[str]:
        """Fingerprints that came after the schema that this process declares: a later Lodeline wrote them.

        Rewriting such a file would drop columns that this version does not know. None where the declared schema was
        never written: then it is the newest itself.
        """
        versions = self.of(table.name)
        ours = [known.version for known in versions if known.fingerprint == table.encoding.fingerprint]
        return frozenset(known.fingerprint for known in versions if ours and known.version > ours[0])


def history(versions: Iterable[SchemaVersion]) -> list[tuple[SchemaVersion, str]]:
    """Each version with what changed, in order."""
    found: list[tuple[SchemaVersion, str]] = []
    for version in versions:
        found.append((version, version.changes(found[-1][0] if found else None)))
    return found


def _read(table: LakeTable, part: Part, number: int) -> SchemaVersion:
    with table.failures():
        source = sound(part.path)
        with damage_named(part.path), pq.ParquetFile(source) as file:
            columns = {field.name: str(field.type) for field in file.schema_arrow}
            metadata = file.metadata.metadata or {}
    return SchemaVersion(
        table=table.name,
        version=number,
        fingerprint=part.schema,
        since=part.modified_ms // 1000,
        measurement=table.measurement.name,
        tier=str(table.tier),
        columns=columns,
        lodeline=metadata.get(VERSION_KEY.encode(), b"").decode(),
    )


def _row_of(version: SchemaVersion) -> dict[str, object]:
    return {
        "table": version.table,
        "fingerprint": version.fingerprint,
        "measurement": version.measurement,
        "tier": version.tier,
        "version": version.version,
        "columns": json.dumps(dict(version.columns)),
        "lodeline": version.lodeline,
    }


def _version_of(row: Mapping[str, object]) -> SchemaVersion:
    return SchemaVersion(
        table=str(row["table"]),
        version=int(str(row["version"])),
        fingerprint=str(row["fingerprint"]),
        since=int(row["time"].timestamp()),  # type: ignore[attr-defined]
        measurement=str(row["measurement"]),
        tier=str(row["tier"]),
        columns=json.loads(str(row["columns"])),
        lodeline=str(row["lodeline"] or ""),
    )
