"""Where a lake lies: a folder on a disk of this host, or a prefix in a bucket of an object store.

The rest of this package sees a folder either way. What differs is how a commit is made safe: on a disk by kernel locks
and fsync (disk.py), on an object store by what a PUT promises and by beginning again after a lost race
(object_store.py, LakeTable.exclusively). The functions here choose.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
from deltalake import DeltaTable

from storage.lake import disk, object_store
from storage.lake.object_store import ObjectLocation

LakeLocation: TypeAlias = Path | ObjectLocation
"""The lake's root, or a folder or file in it."""


def require_usable(root: LakeLocation) -> None:
    """Check that ``root`` can hold a lake. An object store is not asked: collecting starts while it is away.

    Raises:
        NeedsHuman: see :func:`storage.lake.disk.require_local_disk`.
    """
    if isinstance(root, Path):
        disk.require_local_disk(root)


def spill_of(root: LakeLocation) -> Path:
    """Where a query that outgrows memory goes on: in the lake, or on this host while the lake is elsewhere."""
    return root / ".spill" if isinstance(root, Path) else Path(tempfile.gettempdir()) / "lodeline-spill"


def open_table(folder: LakeLocation, version: int | None = None) -> DeltaTable:
    """A fresh handle of the Delta table in ``folder``, at its newest version where none is given."""
    return DeltaTable(str(folder), version=version, storage_options=storage_options(folder))


def storage_options(folder: LakeLocation) -> dict[str, str] | None:
    """How the Delta library gets in; holds secrets."""
    return None if isinstance(folder, Path) else folder.store.options


def sync(path: LakeLocation) -> None:
    """Make a file's bytes, or a folder's entries, durable. An object is, once it is put."""
    if isinstance(path, Path):
        disk.sync(path)


def make_folder(path: LakeLocation) -> None:
    """Make ``path`` with its parents, durably. An object store has no folders."""
    if isinstance(path, Path):
        disk.make_folder(path)


def locked(path: LakeLocation) -> AbstractContextManager[None]:
    """Hold the exclusive lock of ``path``; waits for it. An object store has none."""
    return disk.locked(path) if isinstance(path, Path) else contextlib.nullcontext()


def locked_if_free(path: LakeLocation) -> AbstractContextManager[bool]:
    """Like :func:`locked`, but gives False at once where somebody else holds the lock."""
    return disk.locked_if_free(path) if isinstance(path, Path) else contextlib.nullcontext(enter_result=True)


@contextlib.contextmanager
def explained(what: str, place: LakeLocation) -> Iterator[None]:
    """Turn an OSError of ``place`` into the error of Lodeline that says whether waiting helps.

    Raises:
        NeedsHuman: the disk is full, read-only or forbidden; the object store refuses.
        StoreError: any other failure.
    """
    with disk.explained(what) if isinstance(place, Path) else object_store.explained(what, place.store):
        yield


def entries(folder: LakeLocation) -> list[LakeLocation]:
    """Files and folders right in ``folder``; none where it does not exist."""
    if isinstance(folder, Path) and not folder.is_dir():
        return []
    return list(folder.iterdir())


def files_below(folder: LakeLocation) -> list[LakeLocation]:
    """Every file below ``folder``, at any depth, sorted by its path."""
    if isinstance(folder, Path):
        return [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [folder / key for key in sorted(folder.sizes())]


def readable(path: LakeLocation) -> Path | pa.BufferReader:
    """What pyarrow reads the file ``path`` from. An object is got whole: whatever fails later is damage."""
    return path if isinstance(path, Path) else pa.BufferReader(path.read_buffer())


def sizes(folder: LakeLocation, files: Sequence[LakeLocation]) -> list[int | None]:
    """Bytes of each of ``files``, all of them below ``folder``; None where there is no such file."""
    if isinstance(folder, Path):
        return [_size_on_disk(Path(str(file))) for file in files]
    found = folder.sizes()
    start = len(str(folder)) + 1
    return [found.get(str(file)[start:]) for file in files]


def _size_on_disk(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def put(path: LakeLocation, content: pa.Buffer) -> None:
    """Write the new file ``path``, whole. Not synced on a disk."""
    if isinstance(path, Path):
        path.write_bytes(content)
    else:
        path.write_buffer(content)
