"""Out of what a host keeps beside the stores: tick reports and memories of miners, logs, the audit trail.

State is made anew by the next tick, so what names the entity goes. Logs keep their length, for a process that writes
one has it open: the name is overwritten in its place.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.audit.trail import Trail
from storage.erasure.entity import Entity
from storage.errors import TryAgain
from storage.lake.disk import locked_if_free
from storage.spool.durable import replace_file

_BUSY_S = 20.0
REPORT_TEXT = ".md"
"""Ending of the text of a report, which can be searched."""


@dataclass(slots=True)
class FilesErased:
    """Files that were changed, and entries of audit trails that lost their content."""

    files: int = 0
    entries: int = 0


def erase_from_state(folder: Path, entity: Entity) -> FilesErased:
    """Take ``entity`` out of the state files under ``folder``: a line, an item or a row that names it goes."""
    done = FilesErased()
    pattern = entity.in_bytes
    if pattern is None or not folder.is_dir():
        return done
    for database in sorted(folder.rglob("*.sqlite")):
        done.files += _erase_from_database(database, pattern)
    for path in sorted(item for item in folder.rglob("*") if item.is_file() and ".sqlite" not in item.name):
        content = path.read_bytes()
        if not pattern.search(content):
            continue
        if path.suffix == ".jsonl":
            replace_file(path, b"".join(x for x in content.splitlines(keepends=True) if not pattern.search(x)))
        elif path.suffix == ".json" and (slim := _without_items(content, pattern)) is not None:
            replace_file(path, slim)
        else:
            path.unlink()
        done.files += 1
    return done


def _erase_from_database(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Delete rows of every table that name the entity in any text, and write the file anew, so that no byte of them is
    left in it or beside it; whether there were any. A process that has it open goes on with what is left."""
    with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as database:
        database.create_function("names_it", 1, lambda value: _names(pattern, value), deterministic=True)
        database.execute("BEGIN IMMEDIATE")
        deleted = 0
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            where = " OR ".join(f'names_it("{column}")' for column in columns)
            deleted += database.execute(f'DELETE FROM "{table}" WHERE {where}').rowcount  # noqa: S608 - own names
        database.execute("COMMIT")
        if not deleted:
            return False
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def _names(pattern: re.Pattern[bytes], value: object) -> bool:
    content = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""
    return pattern.search(content) is not None


def _without_items(content: bytes, pattern: re.Pattern[bytes]) -> bytes | None:
    """A JSON object without the items of its lists that name the entity; None where that does not do."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None

    def free(item: Any) -> bool:
        return not pattern.search(json.dumps(item).encode())

    slim = {key: [x for x in value if free(x)] if isinstance(value, list) else value for key, value in document.items()}
    return json.dumps(slim, separators=(",", ":")).encode() if free(slim) else None


def erase_from_reports(folder: Path, entity: Entity) -> FilesErased:
    """Take every report under ``folder`` that names ``entity``: what cannot be searched, PDF and what of it is on its
    way, goes with the text of its period, and where that is gone."""
    done = erase_from_state(folder, entity)
    if entity.in_bytes is None or not folder.is_dir():
        return done
    for path in sorted(folder.rglob("*.pdf*")):
        if not path.with_name(path.name.partition(".pdf")[0] + REPORT_TEXT).exists():
            path.unlink(missing_ok=True)
            done.files += 1
    return done


def erase_from_exports(folder: Path, entity: Entity) -> FilesErased:
    """Take ``entity`` out of what goes to Abacus.AI from under ``folder``: rows that were rejected or wait for the
    stream, and every file of an export on its way, which the next export makes anew from features without the entity.
    """
    done = FilesErased()
    for path in sorted(folder.rglob("batch-*")):
        if path.suffix != ".jsonl":  # compressed: a search would not find the name in it
            path.unlink(missing_ok=True)
            done.files += 1
    done.files += erase_from_state(folder, entity).files
    return done


@contextlib.contextmanager
def nothing_exported(folder: Path) -> Iterator[None]:
    """Keep exports, streams and the fetching of predictions of this host away: what they hold in memory would go on.

    Raises:
        TryAgain: one of them is at it.
    """
    with contextlib.ExitStack() as held:
        for lock in sorted(folder.glob("*/.*lock")):
            if not held.enter_context(locked_if_free(lock)):
                raise TryAgain(f"Something is exchanged with Abacus.AI just now ({lock})")
        yield


def exported_rows(folder: Path) -> dict[str, int]:
    """Rows that this host ever sent to each table at Abacus.AI, by its journals under ``folder``; of ``NAME`` by
    ``<environment>/NAME``."""
    found = {}
    for path in sorted(folder.glob("*/*/journal.json")):
        try:
            sent = json.loads(path.read_bytes()).get("rows_sent")
        except (ValueError, AttributeError):
            sent = None  # nobody knows how many
        if sent != 0:
            found[f"{path.parent.parent.name}/{path.parent.name}"] = sent if isinstance(sent, int) else -1
    return found


def erase_from_logs(folder: Path, entity: Entity) -> FilesErased:
    """Overwrite the name in the logs under ``folder``, compressed ones too."""
    done = FilesErased()
    pattern = entity.in_bytes
    if pattern is None or not folder.is_dir():
        return done
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        if path.suffix == ".gz":
            content = gzip.decompress(path.read_bytes())
            if pattern.search(content):
                replace_file(path, gzip.compress(pattern.sub(b"erased", content), mtime=0))
                done.files += 1
            continue
        places = [(match.start(), match.end()) for match in pattern.finditer(path.read_bytes())]
        if places:
            descriptor = os.open(path, os.O_WRONLY)
            try:
                for start, end in places:
                    os.pwrite(descriptor, b"#" * (end - start), start)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            done.files += 1
    return done


def erase_from_trails(data_directory: Path, entity: Entity, *, actor: str, case: str) -> FilesErased:
    """Take the content out of entries that name ``entity``; the chains stay whole. Torn lines that name it go.

    All trails of the folder, for a host may have had another name.
    """
    done, folder = FilesErased(), data_directory / "audit"
    for path in sorted(folder.glob("*.jsonl")):
        done.entries += Trail.open(data_directory, path.stem).redact(entity.mentions, actor=actor, case=case)
    for path in sorted(folder.glob("*.torn")):
        if entity.in_bytes is not None and entity.in_bytes.search(path.read_bytes()):
            path.unlink()
            done.files += 1
    return done
