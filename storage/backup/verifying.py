"""Whether a set is what was written: every file is hashed, and the tables of its lake can be opened whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from storage.backup.manifest import DATA, Manifest, load_manifest


@dataclass(slots=True)
class Verified:
    """What was looked at. ``faults``: one line each, with the file and both hashes."""

    files: int = 0
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


def verify_set(folder: Path, told: Callable[[int], None] = lambda _: None) -> Verified:
    """Hash every file of the set ``folder``. ``told`` hears of bytes that are done.

    Raises:
        NeedsHuman: it is no whole set.
    """
    manifest = load_manifest(folder)
    found = Verified()
    for file in manifest.files:
        path = folder / DATA / file.path
        try:
            with path.open("rb") as read:
                sha256 = hashlib.file_digest(read, "sha256").hexdigest()
        except OSError as error:
            found.faults.append(f"{path}: {error.strerror or error}")
            continue
        if sha256 != file.sha256:
            found.faults.append(f"{path} is damaged: its SHA-256 is {sha256}, written was {file.sha256}")
        found.files += 1
        found.bytes += file.size
        told(file.size)
    found.faults += missing_of_tables(folder / DATA, manifest)
    return found


def missing_of_tables(data: Path, manifest: Manifest) -> list[str]:
    """Files that tables of a set's lake want and that are not there; nothing where the lake's packages are missing."""
    if manifest.lake is None or find_spec("deltalake") is None:
        return []
    from deltalake import DeltaTable

    faults = []
    for name, version in manifest.tables.items():
        folder = data / manifest.lake / name
        table = DeltaTable(str(folder))
        if table.version() != version:
            faults.append(f"{folder} opens at version {table.version()}, taken was {version}")
        faults += [f"{folder}: {Path(uri).name} is missing" for uri in table.file_uris() if not Path(uri).is_file()]
    return faults
