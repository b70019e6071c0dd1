"""Out of a lake with warehouse and features: live files, older versions of tables, files of killed writers, logs.

Live files are written anew one by one by the lake's own writer, so encodings, page checksums and memory stay as they
are. What is no longer live is deleted at once, which the vacuum refuses below 24 h: here the lake's upkeep and the
table's lock are held, so nobody can be about to commit such a file. Whoever has one open reads on; whoever opened the
table before and reads later finds the file gone and opens the table anew; time travel to before the erasure is over.

On an object store nothing is locked. What a commit took out is deleted at once there too; a file that no commit named
may be one that is about to be, so it stays for an hour, and the proof names it until then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError

from storage.arrow_schema import INGEST_MS, INGEST_VERSION
from storage.declaration import Tier
from storage.erasure.due import make_due
from storage.erasure.entity import Entity
from storage.erasure.features import feature_tables
from storage.erasure.rows import compacted, has_ghosts, scrub_table
from storage.errors import NeedsHuman, StoreError
from storage.lake import doctor
from storage.lake.damage import DamagedFile
from storage.lake.layout import declared_tables
from storage.lake.location import LakeLocation, entries, files_below, locked, open_table, readable, sync
from storage.lake.parquet import read_file
from storage.lake.snapshot import Part, Snapshot
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.warehouse.star import STAR, Fact, StarTable
from storage.warehouse.table import WarehouseTable

_COMING_S = 3600
"""A file on an object store that no commit ever named may be about to be committed, but not after so long."""

_AT_ONCE = 65_536
"""Numbers that are summed at a time."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LakeErased:
    """What was done; files without a row left go. ``due`` are windows to be rolled up again, ``others`` has rows
    and sums of what stayed in rewritten files: [before, after] by table.
    """

    rows: int = 0
    redacted: int = 0
    files_rewritten: int = 0
    files_deleted: int = 0
    logs_cleaned: int = 0
    due: int = 0
    others: dict[str, list[float]] = field(default_factory=dict)


def erase_from_lake(
    root: LakeLocation, entity: Entity, *, host: str | None = None, stop: Callable[[], bool] = lambda: False
) -> LakeErased:
    """Take ``entity`` out of every declared table under ``root``. Killed anywhere, the same call again finishes.

    With ``host`` the lake is one that is rolled up: windows that the range cuts are made due.

    Raises:
        NeedsHuman: a file is damaged; rows of others would have changed, in which case nothing was committed.
    """
    done = LakeErased()
    if isinstance(root, Path) and not root.is_dir():
        return done
    with locked(root / ".maintenance.lock"):
        for measurement, tier in declared_tables():
            if stop():
                break
            table = LakeTable(root, measurement, tier)
            if entity.wants(measurement) and table.exists():
                _rewrite_live(table, entity, done)
                _delete_dead(table, entity, done)
        for star in STAR:
            if stop():
                break
            star_table = WarehouseTable(root, star)
            if _wants_star(star, entity) and star_table.exists():
                if isinstance(star, Fact):
                    star_table.tier = star.source.tier  # whose windows count whole
                _rewrite_live(star_table, entity, done)
                _delete_dead(star_table, entity, done)
        for table, meant in feature_tables(root, entity):
            if stop():
                break
            _rewrite_live(table, meant, done)
            _delete_dead(table, meant, done)
    if host is not None:
        store = EmbeddedStore(root)
        try:
            done.due = make_due(store, entity, host)
        finally:
            store.close()
    return done


def _wants_star(star: StarTable, entity: Entity) -> bool:
    """Facts go with the measurement that they are made of, dimensions only where all measurements are meant."""
    if entity.measurements is not None and not (
        isinstance(star, Fact) and star.source.measurement.name in entity.measurements
    ):
        return False
    return entity.word is not None or set(entity.tags) <= set(star.identity)


def _rewrite_live(table: LakeTable, entity: Entity, done: LakeErased) -> None:
    clean: set[str] = set()
    while (snapshot := table.snapshot(fresh=True)) is not None:
        waiting = [
            part for part in snapshot.parts if part.relative not in clean and _overlaps(part, table.tier, entity)
        ]
        if not waiting:
            return
        for part in waiting:
            if _rewrite(table, snapshot, part, entity, done):
                break  # the handle is stale now
            clean.add(part.relative)


def _overlaps(part: Part, tier: Tier, entity: Entity) -> bool:
    start, stop = entity.span(tier)
    if part.first >= stop or part.last < start:
        return False
    return entity.word is not None or all(
        part.low.get(tag, "") <= value <= part.high.get(tag, "") for tag, value in entity.tags.items()
    )


def _rewrite(table: LakeTable, snapshot: Snapshot, part: Part, entity: Entity, done: LakeErased) -> bool:
    """Write one file without ``entity``; False where it holds nothing of it."""
    try:
        rows = read_file(part.path, table.schema)
    except FileNotFoundError:
        return True  # merged away meanwhile; look anew
    except OSError as error:
        raise StoreError(f"lake table {table.name}: {part.path} cannot be read: {error}") from error
    scrubbed = scrub_table(rows, table.measurement.tag_names, table.tier, entity)
    kept = scrubbed.kept
    if kept is None and has_ghosts(rows, entity):
        kept = compacted(rows)
    if kept is None:
        return False
    removed, redacted = scrubbed.removed, scrubbed.redacted
    del rows, scrubbed  # a file is up to half a gigabyte of them
    before = _totals([kept])
    added = table.write(kept) if kept.num_rows else []
    del kept
    after = _totals(read_file(table.folder / action.path, table.schema) for action in added)
    if before != after:
        for action in added:
            (table.folder / action.path).unlink()
        raise NeedsHuman(
            f"lake table {table.name}: without the erased rows {part.path.name} would hold {after} where it holds "
            f"{before}; nothing was committed",
            remedy="Report this: rows of others must not change",
        )
    with table.locked(), table.failures():
        try:
            table.commit(snapshot.handle, added, [part])
        except CommitFailedError:
            if isinstance(table.folder, Path):  # on an object store the commit may be there and its answer got lost
                for action in added:
                    (table.folder / action.path).unlink()
            return True
    done.rows += removed
    done.redacted += redacted
    done.files_rewritten += 1
    others = done.others.setdefault(table.name, [0, 0, 0.0, 0.0])
    for at, total in enumerate((before[0], after[0], before[1], after[1])):
        others[at] += total
    return True


def _totals(tables: Iterable[pa.Table]) -> tuple[int, float]:
    """Rows, and the exactly rounded sum of all numbers, whatever their order."""
    rows = 0

    def numbers() -> Iterator[float]:
        nonlocal rows
        for table in tables:
            rows += table.num_rows
            for column in table.schema:
                if column.name in (INGEST_MS, INGEST_VERSION):
                    continue
                if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                    for chunk in table[column.name].chunks:
                        yield from _floats(chunk)

    total = math.fsum(numbers())
    return rows, total


def _floats(values: pa.Array) -> Iterator[float]:
    for first in range(0, len(values), _AT_ONCE):  # objects of Python take ten times the room of the column
        part = values.slice(first, _AT_ONCE).cast(pa.float64(), safe=False).drop_null()
        yield from part.to_numpy(zero_copy_only=False).tolist()


def _delete_dead(table: LakeTable, entity: Entity, done: LakeErased) -> None:
    def delete() -> None:
        snapshot = table.opened_for_writing()
        log = table.folder / "_delta_log"
        removed = _removed(log)
        live = {part.relative for part in snapshot.parts}
        for path in files_below(table.folder):
            relative = f"{path.parent.name}/{path.name}"
            if path.parent == log or relative in live or not _holds(path, table, entity):
                continue
            if isinstance(path, Path) or relative in removed or path.age_s() > _COMING_S:
                path.unlink()
                sync(path.parent)
                done.files_deleted += 1
        if any(_log_holds(path, entity) for path in files_below(log)):
            _begin_log_anew(table, snapshot)
            done.logs_cleaned += 1

    table.exclusively(delete)


def _removed(log: LakeLocation) -> set[str]:
    """Files that a commit on an object store took out: nobody is about to commit them. On a disk the lock says that."""
    if isinstance(log, Path):
        return set()
    commits = [path.read_bytes() for path in entries(log) if path.suffix == ".json"]
    actions = [json.loads(line) for commit in commits for line in commit.splitlines() if line.strip()]
    return {action["remove"]["path"] for action in actions if "remove" in action}


def _holds(path: LakeLocation, table: LakeTable, entity: Entity) -> bool:
    """Whether a file that is not live holds rows of ``entity``, or cannot be read (a kill left it)."""
    try:
        rows = read_file(path, table.schema)
    except (OSError, DamagedFile):
        return True
    erasable = scrub_table(rows, table.measurement.tag_names, table.tier, entity).kept is not None
    return erasable or has_ghosts(rows, entity)


def _log_holds(path: LakeLocation, entity: Entity) -> bool:
    if entity.in_text is None or entity.in_bytes is None:
        return False
    if path.suffix != ".parquet":
        return entity.in_bytes.search(path.read_bytes()) is not None
    try:
        return any(entity.mentions(text) for text in texts_of(readable(path)))
    except (OSError, ValueError, pa.ArrowException):
        return True


def _begin_log_anew(table: LakeTable, snapshot: Snapshot) -> None:
    """Stand the log on a checkpoint of what is live, and drop all before it.

    A commit without files comes first: the newest commit must stay (a table without one does not exist), and it must
    be one that names nobody.
    """
    log = table.folder / "_delta_log"
    table.commit(snapshot.handle, [], [])
    handle = open_table(table.folder)
    version = handle.version()
    handle.create_checkpoint()
    for name in (f"{version:020}.json", f"{version:020}.checkpoint.parquet", "_last_checkpoint"):
        sync(log / name)
    sync(log)
    doctor.examine(table.folder, table.name)
    for path in files_below(log):
        later = re.match(r"\d{20}\.", path.name) is not None and int(path.name[:20]) >= version
        if not later and path.name != "_last_checkpoint":  # on an object store others commit meanwhile
            path.unlink()
    sync(log)


def texts_of(source: Path | pa.BufferReader, batch_rows: int = 65_536) -> Iterator[str]:
    """Every distinct text of each batch of a Parquet file, nested ones too, and the statistics in its footer.

    Raises:
        OSError: it is damaged.
    """
    with pq.ParquetFile(source) as file:
        # Coded, dictionaries come whole, with the words in them that no row has.
        coded = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    with pq.ParquetFile(source, page_checksum_verification=True, read_dictionary=coded) as file:
        metadata = file.metadata
        for batch in file.iter_batches(batch_rows):
            for array in batch.columns:
                yield from _texts(array)
        # Last: where the footer has another type than the pages, unpacking statistics ends the process.
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                statistics = metadata.row_group(group).column(column).statistics
                if statistics is not None and statistics.has_min_max:
                    yield from (x for x in (statistics.min, statistics.max) if isinstance(x, str))
        for key, value in (metadata.metadata or {}).items():
            yield f"{key.decode(errors='replace')} {value.decode(errors='replace')}"


def _texts(array: pa.Array) -> Iterator[str]:
    kind = array.type
    if pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _texts(child)
    elif pa.types.is_map(kind):
        yield from _texts(array.keys)
        yield from _texts(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _texts(array.flatten())
    elif pa.types.is_dictionary(kind):
        yield from _texts(array.dictionary)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from (text for text in array.unique().to_pylist() if text is not None)
    elif pa.types.is_binary(kind):
        with contextlib.suppress(UnicodeDecodeError):
            yield from (text.decode() for text in array.unique().to_pylist() if text is not None)
