"""The doctor: looks at a table's log and files before it is used, because the Delta library does not.

It opens a table with an empty commit in the middle as if nothing had been there, and notices a missing data file only
when somebody reads it (reference/lake.md 2.1). What the doctor may mend without losing anything acknowledged it mends,
and says so in the log of the process; anything else is for a human.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from storage.errors import NeedsHuman
from storage.lake.layout import Place
from storage.lake.location import LakeLocation, entries, open_table, readable, sizes, sync
from storage.lake.snapshot import live_files

log = logging.getLogger(__name__)

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_POINTER = "_last_checkpoint"


def examine(folder: LakeLocation, name: str, *, files: bool = True) -> None:
    """Check the table in ``folder``; call it inside the table's lock. ``name`` is for messages. Without ``files`` only
    its log.

    Commits after the newest readable checkpoint must be whole and without a gap, and every live file must be there in
    its logged size. Mended: an unreadable checkpoint whose commits are all still there, and torn commits at the very
    end of the log, which nobody was ever told of (their rows come again from the spool). On an object store only the
    files are looked at: what is put there is whole, and the Delta library finds a gap in the log itself.

    Raises:
        NeedsHuman: a torn or missing commit in the middle, a live file missing or of another size.
    """
    folder_of_log = folder / "_delta_log"
    if not isinstance(folder_of_log, Path):
        if files and entries(folder_of_log):
            _check_live_files(folder, name)
        return
    if not folder_of_log.is_dir():
        return
    commits = _numbered(folder_of_log, _COMMIT)
    checkpoint = _readable_checkpoint(folder, folder_of_log, name, commits)
    needed = {version: path for version, path in commits.items() if version > checkpoint}
    torn = {version for version, path in needed.items() if not _is_whole(path)}
    while needed and (last := max(needed)) in torn:
        _set_aside(needed.pop(last), f"{name}: commit {last} is torn; nobody was told of it, so it is left out")
        torn.discard(last)
    missing = sorted(set(range(checkpoint + 1, max(needed, default=checkpoint) + 1)) - set(needed))
    if torn or missing:
        raise NeedsHuman(
            f"lake table {name}: commits {sorted(torn)} are torn, commits {missing} are missing, later ones are there",
            remedy=f"Restore {folder_of_log} from a backup, or move the table's folder aside; it is not written to",
        )
    if files and (needed or checkpoint >= 0):
        _check_live_files(folder, name)


def newest_checkpoint(folder_of_log: LakeLocation) -> int:
    """Version of the newest checkpoint by name, -1 where there is none."""
    return max(_numbered(folder_of_log, _CHECKPOINT), default=-1)


def scrub(folder: LakeLocation) -> list[LakeLocation]:
    """Read every live file of one table with its page checksums; the damaged ones."""
    return [path for path, _ in _live_files(folder) if not is_sound(path)]


def is_sound(path: LakeLocation) -> bool:
    """Whether all of a Parquet file can be read and its page checksums fit."""
    try:
        with pq.ParquetFile(readable(path), page_checksum_verification=True) as file:
            for row_group in range(file.num_row_groups):
                file.read_row_group(row_group)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return True


def _numbered(folder: Place, pattern: re.Pattern[str]) -> dict[int, Place]:
    return {int(match[1]): cast("Place", path) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))}


def _is_whole(path: Path) -> bool:
    text = path.read_bytes()
    try:
        return bool(text) and all(isinstance(json.loads(line), dict) for line in text.splitlines() if line)
    except ValueError:
        return False


def _readable_checkpoint(table: LakeLocation, folder: Path, name: str, commits: Iterable[int]) -> int:
    """Version of the newest checkpoint, -1 where there is none; damaged ones are set aside where commits stand in."""
    checkpoints = _numbered(folder, _CHECKPOINT)
    pointed = _pointed(folder / _POINTER)
    known = set(commits)
    while checkpoints or pointed >= 0:
        newest = max([*checkpoints, pointed])
        path = checkpoints.pop(newest, None)
        if path is not None and is_sound(path) and _opens(table, newest):
            return newest
        older = max(checkpoints, default=-1)
        if set(range(older + 1, newest + 1)) - known:
            raise NeedsHuman(
                f"lake table {name}: checkpoint {newest} is {'damaged' if path else 'missing'} and the commits it "
                "stands for are no longer there",
                remedy=f"Restore {folder} from a backup, or move the table's folder aside; it is not written to",
            )
        if path is not None:
            _set_aside(path, f"{name}: checkpoint {newest} is damaged; its commits are read instead")
        if pointed >= 0:
            (folder / _POINTER).unlink()
            sync(folder)
            pointed = -1
    return -1


def _opens(folder: LakeLocation, checkpoint: int) -> bool:
    """Whether the Delta library makes anything of a checkpoint, which pages without checksums do not tell."""
    try:
        live_files(open_table(folder, checkpoint))
    except (DeltaError, OSError, ValueError, pa.ArrowException) as error:
        log.warning("Lake table %s: checkpoint %d does not open: %s", folder, checkpoint, error)
        return False
    return True


def _pointed(pointer: Path) -> int:
    """Version that ``_last_checkpoint`` names, -1 where it names none; an unreadable one is ignored by everybody."""
    try:
        version = json.loads(pointer.read_bytes())["version"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return -1
    return version if isinstance(version, int) else -1


def _set_aside(path: Path, why: str) -> None:
    aside = path.with_name(f"_aside.{path.name}")
    path.rename(aside)
    sync(path.parent)
    log.warning("Lake table %s. It was moved to %s", why, aside)


def _check_live_files(folder: LakeLocation, name: str) -> None:
    live = _live_files(folder)
    wrong = []
    for (path, size), found in zip(live, sizes(folder, [path for path, _ in live]), strict=True):
        if found is None:
            wrong.append(f"{path.name} is missing")
        elif found != size:
            wrong.append(f"{path.name} has {found} bytes instead of {size}")
    if wrong:
        raise NeedsHuman(
            f"lake table {name}: {len(wrong)} data files are damaged: {'; '.join(wrong[:5])}",
            remedy=f"Restore them in {folder} from a backup, or see lodeline damage list; it is not written to",
        )


def _live_files(folder: LakeLocation) -> list[tuple[LakeLocation, int]]:
    try:
        files = live_files(open_table(folder))
    except DeltaError as error:
        if not isinstance(folder, Path):
            raise  # it may be the network
        raise NeedsHuman(
            f"lake table {folder.parent.name}/{folder.name} cannot be opened: {error}",
            remedy=f"Restore {folder / '_delta_log'} from a backup, or move the table's folder aside",
        ) from error
    return list(
        zip((folder / path for path in files["path"].to_pylist()), files["size_bytes"].to_pylist(), strict=True)
    )
