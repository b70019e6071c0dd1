"""An export in a file: written beside it, then put in its place at once, with a sidecar that says what it holds.

Killed at any point there is the file of before, or none, and a draft that the next export of the same name replaces.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from storage.across_tiers import Piece, joined
from storage.errors import NeedsHuman
from storage.spool.durable import replace_file, sync_directory
from tasks.exports.asked import WHY, Exported
from tasks.exports.files import ISO, Hashed, Writer, as_json, types_of
from tasks.exports.settings import Format

ABOUT = ".about.json"
"""Ending of a sidecar after the name of its file."""
DRAFT = ".new"


@dataclass(frozen=True, slots=True)
class Done:
    """What was written."""

    path: Path
    rows: int
    bytes: int


def write_export(
    export: Exported,
    path: Path,
    how: Format,
    *,
    made_by: str,
    force: bool = False,
    told: Callable[[int], None] = lambda _stop: None,
) -> Done:
    """Write ``export`` to ``path`` and its sidecar to ``<path>.about.json``. ``told`` hears of each stretch that is
    written, by its end in Unix seconds; ``made_by``: command or flow.

    Raises:
        NeedsHuman: the file is there and ``force`` is not, or it cannot be written; nothing was changed.
        TryAgain: the store does not answer.
    """
    if path.exists() and not force:
        raise NeedsHuman(f"{path} is there already", remedy="Give --force to replace it, or another name")
    draft = path.with_name(path.name + DRAFT)
    asked = export.asked
    about = {"lodeline.what": asked.what, "lodeline.tier": asked.tier.value, "lodeline.time_zone": "UTC"}
    pieces: list[Piece] = []
    rows = 0
    try:
        with draft.open("wb") as file:
            hashed = Hashed(file)
            with Writer(hashed, how, export.columns, about) as writer:
                for stretch in export.stretches():
                    writer.write(stretch.rows)
                    rows += stretch.rows.num_rows
                    pieces = joined([*pieces, *stretch.pieces])
                    told(stretch.stop)
            file.flush()
            os.fsync(file.fileno())
        sidecar = _about(export, path, how, rows=rows, hashed=hashed, pieces=pieces, made_by=made_by)
        replace_file(path.with_name(path.name + ABOUT), as_json(sidecar))
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise NeedsHuman(f"{path} cannot be written: {error.strerror or error}", remedy="Give another place") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return Done(path, rows, hashed.bytes)


def _about(
    export: Exported, path: Path, how: Format, *, rows: int, hashed: Hashed, pieces: list[Piece], made_by: str
) -> dict[str, object]:
    asked = export.asked
    why = [one.name for one in export.columns if one.name in WHY]
    null = {Format.CSV: 'empty; an empty text is ""', Format.JSON: "null", Format.PARQUET: "null"}[how]
    return {
        "file": path.name,
        "what": asked.what,
        "meaning": export.meaning,
        "tier": asked.tier.value,
        "from": iso(asked.start),
        "to": iso(asked.stop),
        "where": {name: list(values) for name, values in asked.where.items()},
        "format": how.value,
        "time_zone": "UTC",
        "sorted_by": "time, then labels",
        "missing": f"{null}: not known, never zero" + (f"; {', '.join(why)} says why" if why else ""),
        "columns": types_of(export.columns, how),
        "rows": rows,
        "bytes": hashed.bytes,
        "sha256": hashed.sha256,
        "lineage": {
            "made_by": made_by,
            "made_at": iso(int(time.time())),
            "lodeline": version("lodeline"),
            "pieces": [
                {
                    "from": iso(one.start),
                    "to": iso(one.stop),
                    "tier": one.tier.value,
                    "place": one.place,
                    "rows_read": one.rows,
                    "why": one.why,
                }
                for one in pieces
            ],
        },
    }


def iso(unix_s: int) -> str:
    """A time in ISO 8601, UTC."""
    return datetime.fromtimestamp(unix_s, UTC).strftime(ISO)
