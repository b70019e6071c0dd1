"""dim_miner: versions of miners, folded out of what they were read to be set to and of the tags of their telemetry.

A version begins where a value that was known is another. A value that was not known fills the version in: firmware that
is first read an hour after the first poll did not change then. What a reading leaves out is as it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from storage.warehouse.keys import Version, surrogate
from storage.warehouse.star import DIM_MINER, VERSIONED
from storage.warehouse.table import ARROW, schema

_TYPES = {column.name: ARROW[column.type] for column in DIM_MINER.columns}
SIGHTING = pa.schema([("miner_id", pa.string()), ("time", pa.int64()), *((name, _TYPES[name]) for name in VERSIONED)])
"""Something that says what a miner is at a time (Unix seconds); what it does not say is null."""


@dataclass(slots=True)
class MinerVersion:
    """One version; times are Unix seconds."""

    miner_id: str
    valid_from: int
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> int:
        """Key of the dimension."""
        return surrogate(self.miner_id, self.valid_from)


class History:
    """Versions of every miner, oldest first."""

    def __init__(self, versions: Iterable[MinerVersion] = ()) -> None:
        self._of: dict[str, list[MinerVersion]] = {}
        for version in sorted(versions, key=lambda version: version.valid_from):
            self._of.setdefault(version.miner_id, []).append(version)

    @staticmethod
    def of(dimension: pa.Table) -> History:
        """The history that is stored in dim_miner."""
        return History(
            MinerVersion(row["miner_id"], int(row["valid_from"].timestamp()), {name: row[name] for name in VERSIONED})
            for row in dimension.to_pylist()
        )

    def taken_back(self, time: int) -> pa.Table:
        """Take back what was told from ``time`` on, to be folded anew; the places of miners that were told then.

        A place comes from the configuration of the time of a build, so nothing else remembers it.
        """
        places = []
        for miner_id, versions in list(self._of.items()):
            for version in versions:
                if version.valid_from >= time and version.values.get("location") is not None:
                    told = {"miner_id": miner_id, "time": version.valid_from, "location": version.values["location"]}
                    places.append(told)
            kept = [version for version in versions if version.valid_from < time]
            self._of[miner_id] = kept
            if not kept:
                del self._of[miner_id]
        return pa.Table.from_pylist(places, schema=SIGHTING)

    def see(self, sightings: pa.Table) -> None:
        """Fold in ``sightings``, all of them later than what was folded before."""
        if not sightings.num_rows:
            return
        known = [
            {"miner_id": miner_id, "time": versions[-1].valid_from, **versions[-1].values}
            for miner_id, versions in self._of.items()
        ]
        for row in _that_tell_something(pa.concat_tables([pa.Table.from_pylist(known, schema=SIGHTING), sightings])):
            self._tell(row["miner_id"], row["time"], {name: row[name] for name in VERSIONED if row[name] is not None})

    def stand(self, places: Mapping[str, str], time: int) -> None:
        """Take in where miners stand at ``time`` by the configuration."""
        for miner_id, location in places.items():
            if location and miner_id in self._of:
                self._tell(miner_id, time, {"location": location})

    def _tell(self, miner_id: str, time: int, values: dict[str, Any]) -> None:
        versions = self._of.setdefault(miner_id, [])
        if not versions:
            versions.append(MinerVersion(miner_id, time, values))
            return
        present = versions[-1]
        if all(present.values.get(name) in (None, value) for name, value in values.items()):
            present.values |= values
        elif time > present.valid_from:
            versions.append(MinerVersion(miner_id, time, present.values | values))

    def versions(self) -> list[Version]:
        """What facts look up."""
        return [
            Version(each.key, each.miner_id, each.values.get("model"), each.values.get("site"), each.valid_from)
            for versions in self._of.values()
            for each in versions
        ]

    def table(self) -> pa.Table:
        """Rows of dim_miner."""
        rows = []
        for versions in self._of.values():
            ends = [*(version.valid_from for version in versions[1:]), None]
            rows += [_row(version, end) for version, end in zip(versions, ends, strict=True)]
        return pa.Table.from_pylist(rows, schema=schema(DIM_MINER))


def _row(version: MinerVersion, end: int | None) -> dict[str, Any]:
    begun = _moment(version.valid_from)
    return {
        "time": begun,
        "miner_key": version.key,
        "miner_id": version.miner_id,
        "valid_from": begun,
        "valid_to": None if end is None else _moment(end),
        "is_current": end is None,
        **version.values,
    }


def _moment(time: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time, dt.UTC)


def sightings_of(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Rows of a Store as sightings: ``names`` are the columns to take, beside time and miner_id."""
    columns = {"miner_id": rows["miner_id"], "time": rows["time"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64())}
    for name in VERSIONED:
        columns[name] = rows[name].cast(_TYPES[name]) if name in names else pa.nulls(rows.num_rows, _TYPES[name])
    return pa.table(columns, schema=SIGHTING)


def steady(rows: pa.Table) -> pa.Table:
    """Hourly rows of telemetry (tags alone) of hours in which a miner had one model and one site."""
    with _connected(rows=rows) as connection:
        return connection.sql(
            "SELECT time, miner_id, any_value(model) AS model, any_value(site) AS site FROM rows "
            "GROUP BY time, miner_id HAVING count(*) = 1"
        ).to_arrow_table()


def _that_tell_something(sightings: pa.Table) -> list[dict[str, Any]]:
    """Rows, in order, in which a value is the first one known of a miner, or another than the one known before."""
    over = "OVER (PARTITION BY miner_id ORDER BY time, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    before = ", ".join(f'last_value("{name}" IGNORE NULLS) {over} AS "_{name}"' for name in VERSIONED)
    news = " OR ".join(f'("{name}" IS NOT NULL AND "{name}" IS DISTINCT FROM "_{name}")' for name in VERSIONED)
    numbered = sightings.append_column("place", pa.array(range(sightings.num_rows), pa.int64()))
    with _connected(sightings=numbered) as connection:
        found = connection.sql(
            f"SELECT miner_id, time, {', '.join(VERSIONED)} FROM (SELECT *, {before}, "  # noqa: S608 - declared names
            f"row_number() OVER (PARTITION BY miner_id ORDER BY time, place) AS nth FROM sightings) "
            f"WHERE nth = 1 OR {news} ORDER BY miner_id, time, place"
        ).to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _connected(**tables: pa.Table) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"autoload_known_extensions": False, "threads": 2})
    for name, table in tables.items():
        connection.register(name, table)
    return connection
