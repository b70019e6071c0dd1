"""Out of the files of scheduled exports: one that names the entity goes, with its sidecar. The flow that makes them
makes the newest, and those between files that are left, anew, out of stores that have the entity no more."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from storage.declaration import MEASUREMENTS
from storage.erasure.entity import Entity
from storage.erasure.files import FilesErased

_ABOUT = ".about.json"


def erase_from_series_exports(folder: Path, entity: Entity) -> FilesErased:
    """Delete the files under ``folder`` that hold ``entity`` in its range, and those of which nobody can tell."""
    done = FilesErased()
    if not folder.is_dir():
        return done
    for path in sorted(folder.glob("*/*")):
        if path.name.endswith(_ABOUT) or not path.is_file():
            continue
        about = path.with_name(path.name + _ABOUT)
        if _may_hold(about, entity) and _names(path, entity):
            path.unlink(missing_ok=True)
            about.unlink(missing_ok=True)
            done.files += 1
    if entity.in_bytes is not None:  # a sidecar says what was asked for
        for about in sorted(folder.glob(f"*/*{_ABOUT}")):
            if _may_hold(about, entity) and entity.in_bytes.search(about.read_bytes()):
                about.unlink()
                about.with_name(about.name.removesuffix(_ABOUT)).unlink(missing_ok=True)
                done.files += 1
    return done


def _may_hold(about: Path, entity: Entity) -> bool:
    """By what the sidecar says of measurement and time; without one it may."""
    try:
        said = json.loads(about.read_text())
        start, stop = (int(datetime.fromisoformat(said[name]).timestamp()) for name in ("from", "to"))
        declared = MEASUREMENTS.get(said["what"])
    except (OSError, ValueError, KeyError, TypeError):
        return True
    if declared is not None and not entity.wants(declared):
        return False
    return entity.start < stop and start < entity.stop


def _names(path: Path, entity: Entity) -> bool:
    if entity.in_bytes is None:
        return True
    if path.suffix != ".parquet":
        return entity.in_bytes.search(path.read_bytes()) is not None
    from storage.erasure.lake import texts_of

    try:
        return any(entity.mentions(text) for text in texts_of(path))
    except (OSError, ValueError):
        return True
