"""InfluxQL of the panels, for InfluxDB 1.x, 2.x and 3.x alike. Every name comes from the declaration, none from a user.

A miner's newest row is taken whole. ``last()`` of several fields would take each field's last value that is not null
and show a dead miner's old hashrate as if it were now; ``reachable`` is never null, so its ``last()`` picks the newest
row, and fields named beside it come from that row. Sums are taken over the miners' means, and per model, so that
SHA-256 and Scrypt are never added up.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from storage.declaration import Measurement

TIME = "$timeFilter"
CHOSEN = '"site" =~ /^${site:regex}$/ AND "miner_id" =~ /^${miner:regex}$/'
"""The viewer's choice; a missing site matches "All" (.*), as an empty one does."""

_TELEMETRY = '"miner_telemetry"'


def quoted(names: Sequence[str]) -> str:
    """``"a", "b"``."""
    return ", ".join(f'"{name}"' for name in names)


def sum_of_newest(field: str) -> str:
    """``field`` of every miner's newest row, added up by model."""
    newest = (
        f'SELECT last("reachable") AS "reachable", "{field}" FROM {_TELEMETRY} WHERE {TIME} AND {CHOSEN} '
        'GROUP BY "miner_id", "model"'
    )
    return f'SELECT sum("{field}") FROM ({newest}) WHERE {TIME} GROUP BY "model"'


def miners_polled() -> str:
    """Miners that have a row."""
    newest = f'SELECT last("reachable") AS "reachable" FROM {_TELEMETRY} WHERE {TIME} AND {CHOSEN} GROUP BY "miner_id"'
    return f'SELECT count("reachable") FROM ({newest})'


def miners_that_answer() -> str:
    """Miners that answered their newest poll."""
    return f'{miners_polled()} WHERE "reachable" = true'


def sum_of_means(field: str) -> str:
    """Per window and model, the sum of the miners' means of ``field``."""
    means = (
        f'SELECT mean("{field}") AS "{field}" FROM {_TELEMETRY} WHERE {TIME} AND {CHOSEN} '
        'GROUP BY time($__interval), "miner_id", "model" fill(none)'
    )
    return f'SELECT sum("{field}") FROM ({means}) WHERE {TIME} GROUP BY time($__interval), "model" fill(null)'


def efficiency() -> str:
    """Per window and model, J/TH: sum of power over sum of hashrate, of miners that gave both."""
    means = (
        f'SELECT mean("power_w") AS "power_w", mean("hashrate_hs") AS "hashrate_hs" FROM {_TELEMETRY} WHERE {TIME} '
        f'AND "hashrate_hs" >= 0 AND "power_w" >= 0 AND {CHOSEN} '
        'GROUP BY time($__interval), "miner_id", "model" fill(none)'
    )
    return (
        f'SELECT sum("power_w") / sum("hashrate_hs") * 1000000000000 FROM ({means}) WHERE {TIME} '
        'GROUP BY time($__interval), "model" fill(null)'
    )


def over_time(function: str, field: str, tag: str) -> str:
    """``function`` of ``field`` per window and value of ``tag``."""
    return (
        f'SELECT {function}("{field}") FROM {_TELEMETRY} WHERE {TIME} AND {CHOSEN} '
        f'GROUP BY time($__interval), "{tag}" fill(null)'
    )


def miners_where(field: str, value: str) -> str:
    """Miners per window with at least one row in which ``field`` is ``value``.

    Both counts need fill(none): else the inner one is 0 in empty windows, which the outer one counts, and the outer one
    is 0 where nobody polled.
    """
    rows = (
        f'SELECT count("{field}") AS "{field}" FROM {_TELEMETRY} WHERE {TIME} AND "{field}" = \'{value}\' '
        f'AND {CHOSEN} GROUP BY time($__interval), "miner_id" fill(none)'
    )
    return f'SELECT count("{field}") FROM ({rows}) WHERE {TIME} GROUP BY time($__interval) fill(none)'


def newest_rows(measurement: Measurement, fields: Sequence[str]) -> str:
    """The newest row of every series, whole."""
    tags = ("miner_id", *(tag for tag in measurement.tag_names if tag not in ("miner_id", "model", "site")))
    return (
        f'SELECT {quoted(fields)} FROM "{measurement.name}" WHERE {TIME} AND {CHOSEN} '
        f"GROUP BY {quoted(tags)} ORDER BY time DESC LIMIT 1"
    )


def total(table: str, column: str) -> str:
    """Sum of one roll-up column per window."""
    return f'SELECT sum("{column}") FROM "{table}" WHERE {TIME} AND {CHOSEN} GROUP BY time($__interval) fill(null)'


def ratio(table: str, part: str, whole: Sequence[str], tag: str | None = None) -> str:
    """Sum of ``part`` over the sums of ``whole``, roll-up columns, per window."""
    sums = " + ".join(f'sum("{column}")' for column in whole)
    groups = "time($__interval)" + (f', "{tag}"' if tag else "")
    return f'SELECT sum("{part}") / ({sums}) FROM "{table}" WHERE {TIME} AND {CHOSEN} GROUP BY {groups} fill(null)'


def measured(
    measurement: Measurement, function: str, field: str, tags: Sequence[str] = (), where: Sequence[str] = ()
) -> str:
    """``function`` of ``field`` of raw rows per window and values of ``tags``, of rows that are all of ``where``.

    A count is 0 by fill(null) where there is no row at all, as if somebody had looked: it is left out there.
    """
    fill = "none" if function == "count" else "null"
    return (
        f'SELECT {function}("{field}") FROM "{measurement.name}" WHERE {" AND ".join((TIME, *where))} '
        f"GROUP BY {', '.join(('time($__interval)', *map(_name, tags)))} fill({fill})"
    )


def sum_of_series(measurement: Measurement, field: str, tags: Sequence[str] = (), where: Sequence[str] = ()) -> str:
    """Per window and values of ``tags``, the sum over all series of their means: a wide window counts a row once."""
    means = (
        f'SELECT mean("{field}") AS "{field}" FROM "{measurement.name}" WHERE {" AND ".join((TIME, *where))} '
        f"GROUP BY time($__interval), {quoted(measurement.tag_names)} fill(none)"
    )
    return (
        f'SELECT sum("{field}") FROM ({means}) WHERE {TIME} '
        f"GROUP BY {', '.join(('time($__interval)', *map(_name, tags)))} fill(null)"
    )


def quotient(measurement: Measurement, part: str, whole: str, *, factor: str = "", where: Sequence[str] = ()) -> str:
    """Sum of ``part`` over sum of ``whole`` per window, of raw rows that have both."""
    both = (TIME, f'"{part}" >= 0', f'"{whole}" >= 0', *where)
    return (
        f'SELECT sum("{part}") / sum("{whole}"){factor} FROM "{measurement.name}" WHERE {" AND ".join(both)} '
        "GROUP BY time($__interval) fill(null)"
    )


def newest_of_each(measurement: Measurement, fields: Sequence[str], where: Sequence[str] = ()) -> str:
    """The newest row of every series, whole, of rows that are all of ``where``."""
    return (
        f'SELECT {quoted(fields)} FROM "{measurement.name}" WHERE {" AND ".join((TIME, *where))} '
        f"GROUP BY {quoted(measurement.tag_names)} ORDER BY time DESC LIMIT 1"
    )


def latest(measurement: Measurement, columns: Sequence[str], where: Sequence[str] = (), limit: int = 100) -> str:
    """The newest ``limit`` rows of all series together; ``columns`` are tags and at least one field."""
    return (
        f'SELECT {quoted(columns)} FROM "{measurement.name}" WHERE {" AND ".join((TIME, *where))} '
        f"ORDER BY time DESC LIMIT {limit}"
    )


def chosen(tag: str, variable: str) -> str:
    """The viewer's choice of a tag; a missing tag matches "All"."""
    return f'"{tag}" =~ /^${{{variable}:regex}}$/'


def equal(name: str, value: str) -> str:
    """A tag or a state that is ``value``."""
    return f"\"{name}\" = '{value}'"


def _name(name: str) -> str:
    return f'"{name}"'


def of_ticks(field: str) -> str:
    """Largest value per window, host and lane of the collectors' books."""
    return (
        f'SELECT max("{field}") FROM "collector_tick" WHERE {TIME} '
        'GROUP BY time($__interval), "host", "lane" fill(null)'
    )
