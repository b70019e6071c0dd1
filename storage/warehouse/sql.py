"""SQL over the warehouse and the lake's tables: reading alone, no file, no network, no more time than allowed.

A statement sees views over the live files of the tables that it names. Then DuckDB is locked: nothing but these files
can be read, nothing can be written, and its settings cannot be changed back.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.arrow_schema import END_OF_TIME_S, answer_schema, field_types, fingerprint
from storage.errors import LodelineError, NeedsHuman, StoreError
from storage.lake.damage import first_damaged
from storage.lake.layout import declared_tables
from storage.lake.location import LakeLocation, spill_of
from storage.lake.query import Selection, addressed, as_pattern, quoted, rows_of
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable
from storage.warehouse.star import STAR, Fact, StarTable
from storage.warehouse.table import WarehouseTable, schema

_OF_THE_STATEMENT = (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfMemoryException)
"""What cannot come of a damaged file. Their files are not hashed: a mistake would take minutes to be told."""

_HELP = "docs/warehouse.md has the tables and examples; lodeline sql without a statement lists them"


def answer(root: LakeLocation, statement: str, *, timeout_s: float) -> pa.Table:
    """Rows of one SELECT over the tables under the lake's ``root``. Times are UTC.

    Raises:
        NeedsHuman: it is no SELECT, is wrong, names an unknown table, takes longer than ``timeout_s`` or more memory
            than there is.
        StoreError: a file was merged away meanwhile; the same again may succeed.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,  # else a name is looked for among the variables of this program
            "temp_directory": str(spill_of(root)),
        },
    )
    with connection:
        if not isinstance(root, Path):
            from storage.lake.object_reads import ObjectReads  # fsspec, which a lake on a disk does without

            connection.register_filesystem(ObjectReads(root.store))
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        _refuse_all_but_select(connection, statement)
        files = _show(connection, root, statement)
        connection.execute(f"SET allowed_paths = {_literal([addressed(path) for path in files])}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return _run(connection, statement, files, timeout_s)


def tables() -> list[tuple[str, str, tuple[str, ...]]]:
    """Every table that can be asked: name, meaning, columns."""
    star = [(each.name, each.meaning, tuple(_shown(each))) for each in STAR]
    lake = [
        (
            measurement.stored_name(tier),
            measurement.meaning.partition(". ")[0],
            ("time", *measurement.tag_names, *field_types(measurement, tier)),
        )
        for measurement, tier in declared_tables()
    ]
    return star + lake


def _refuse_all_but_select(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    try:
        statements = connection.extract_statements(statement)
    except duckdb.Error as error:
        raise NeedsHuman(f"That is no SQL: {_words(error)}", remedy=_HELP) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NeedsHuman(
            f"Expected one SELECT, got {len(statements)} statements"
            if len(statements) != 1
            else f"Only SELECT is allowed, not {statements[0].type.name}",
            remedy="Nothing is changed by SQL here",
        )


def _run(
    connection: duckdb.DuckDBPyConnection, statement: str, files: Sequence[LakeLocation], timeout_s: float
) -> pa.Table:
    out_of_time = threading.Event()

    def interrupt() -> None:
        out_of_time.set()
        connection.interrupt()

    timer = threading.Timer(timeout_s, interrupt)
    timer.start()
    try:
        return connection.sql(statement).to_arrow_table()
    except duckdb.InterruptException as error:
        if not out_of_time.is_set():
            raise KeyboardInterrupt from error
        raise NeedsHuman(
            f"The statement took longer than {timeout_s:g} s", remedy="Ask for less time, or allow more: --timeout"
        ) from error
    except duckdb.CatalogException as error:
        raise NeedsHuman(_words(error), remedy=_HELP) from error
    except _OF_THE_STATEMENT as error:
        raise NeedsHuman(_words(error), remedy=_HELP) from error
    except (duckdb.Error, ValueError) as error:  # of damage: a name in a footer that is no UTF-8
        raise _failure(error, files) from error
    finally:
        timer.cancel()


def _failure(error: Exception, files: Sequence[LakeLocation]) -> LodelineError:
    """What became of ``files``, or of the statement if they are as they were written."""
    if damaged := first_damaged(files):
        return damaged
    if isinstance(error, duckdb.IOException):
        return StoreError(f"A file of the lake went away: {_words(error)}; ask again")
    return NeedsHuman(_words(error), remedy=_HELP)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())


def _shown(star: StarTable) -> list[str]:
    """Columns of a table of the star: ``time``, by which files lie, says of a dimension what another column does."""
    return [*(["time"] if isinstance(star, Fact) else []), *(column.name for column in star.columns)]


def _show(connection: duckdb.DuckDBPyConnection, root: LakeLocation, statement: str) -> list[LakeLocation]:
    """Make views of the tables that ``statement`` names; the files that they read."""
    named = set(re.findall(r"\w+", statement.lower()))
    files: list[LakeLocation] = []

    def show(name: str, table: LakeTable, text: Callable[[Sequence[Part]], str], empty: pa.Schema) -> None:
        snapshot = table.snapshot(fresh=True)
        if snapshot is None or not snapshot.parts:
            connection.register(name, empty.empty_table())
            return
        paths = [part.path for part in snapshot.parts]
        try:
            connection.execute(f'CREATE VIEW "{name}" AS {text(snapshot.parts)}')
        except (duckdb.Error, ValueError) as error:
            raise _failure(error, paths) from error
        files.extend(paths)

    for star in STAR:
        if star.name in named:
            columns = _shown(star)
            empty = pa.schema([schema(star).field(name) for name in columns])
            show(star.name, WarehouseTable(root, star), partial(_star_rows, star, columns), empty)
    for measurement, tier in declared_tables():
        name = measurement.stored_name(tier)
        if name in named:
            everything = Selection.of(measurement, tier, 0, END_OF_TIME_S, None)
            rows = partial(_lake_rows, everything)
            show(name, LakeTable(root, measurement, tier), rows, answer_schema(measurement, tier))
    return files


def _star_rows(star: StarTable, columns: Sequence[str], parts: Sequence[Part]) -> str:
    files = _literal([as_pattern(part.path) for part in parts])
    named = ", ".join(map(quoted, columns))
    if all(part.schema == fingerprint(schema(star)) for part in parts):
        return f"SELECT {named} FROM read_parquet({files}, hive_partitioning = false)"  # noqa: S608 - declared names
    nulls = ", ".join(f"NULL::{column.type} AS {quoted(column.name)}" for column in star.columns)
    return (
        f"SELECT {named} FROM (SELECT * FROM read_parquet({files}, hive_partitioning = false, union_by_name = true) "  # noqa: S608
        f"UNION ALL BY NAME SELECT {nulls} WHERE false)"
    )


def _lake_rows(selection: Selection, parts: Sequence[Part]) -> str:
    """The rows of a table of the lake as text without parameters, which a view cannot have."""
    query = rows_of(selection, parts, list(field_types(selection.measurement, selection.tier)))
    texts = query.text.split("?")  # names are declared and hold none
    values = [*map(_literal, query.parameters), ""]
    return "".join(text + value for text, value in zip(texts, values, strict=True))


def _literal(value: int | str | Sequence[Any]) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"[{', '.join(map(_literal, value))}]"
