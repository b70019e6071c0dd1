"""A damaged file and what is lost with it; kept beside its bytes in ``<data>/damaged`` once it is set aside."""

from __future__ import annotations

from pathlib import Path

import msgspec

from storage.archive.part import ArchivedPart
from storage.archive.writing import sha256_of
from storage.errors import NeedsHuman
from storage.lake.damage import named_digest
from storage.lake.disk import make_folder, sync
from storage.lake.location import LakeLocation, explained, readable
from storage.spool.durable import replace_file

FOLDER = "damaged"
"""In the data directory."""

_BLOCK = 1 << 20


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A damaged file. ``path`` is where it lies, ``written`` tells what was written, ``sha256`` is what is there now
    (None: it is missing). ``first`` and ``last`` (Unix seconds) and ``rows`` are what the table's log, or the
    catalogue, says of it, ``entities`` the first and last value of each tag; ``tier`` is None of tables that are no
    measurements. ``entry`` is what the catalogue said of a file of the archive.
    """

    table: str
    path: str
    measurement: str
    tier: str | None
    first: int
    last: int
    rows: int
    written: str
    sha256: str | None
    entities: dict[str, tuple[str, str]]
    archived: bool = False
    entry: ArchivedPart | None = None

    def is_written(self, sha256: str) -> bool | None:
        """Whether bytes of this SHA-256 are those that were written; None: nobody knows a hash of those."""
        kind, _, known = self.written.partition(" ")
        digest = known if kind == "sha256" else named_digest(Path(self.path))
        return None if digest is None else sha256.startswith(digest)

    @property
    def found(self) -> str:
        """What is there now, for a sentence."""
        return "it is missing" if self.sha256 is None else f"on disk is sha256 {self.sha256}"


def folder_of(data: Path, case: Case) -> Path:
    """Where bytes and note of ``case`` are kept."""
    return data / FOLDER / ("archive" if case.archived else "") / case.table


def keep(data: Path, case: Case, source: LakeLocation) -> Path:
    """Copy the bytes of ``source`` and note the case, both durably; the copy. Again is once.

    Raises:
        NeedsHuman: the disk is full or forbidden, or the bytes changed since they were looked at.
        StoreError: the disk does not give them.
    """
    folder = folder_of(data, case)
    copy = folder / source.name
    with explained(f"damaged file {source}", source), explained(f"folder {folder}", folder):
        make_folder(folder)
        if case.sha256 is not None and not (copy.exists() and sha256_of(copy) == case.sha256):
            draft = copy.with_name(f"{copy.name}.new")
            _copy(source, draft)
            if sha256_of(draft) != case.sha256:
                raise NeedsHuman(
                    f"{source} reads otherwise each time", remedy="Check the disk; nothing was set aside, so try again"
                )
            sync(draft)
            draft.replace(copy)
            sync(folder)
        replace_file(_note(copy), msgspec.json.format(msgspec.json.encode(case)))
    return copy


def cases_kept(data: Path) -> list[tuple[Case, Path]]:
    """Every case that was begun and not put back, and its copy.

    Raises:
        NeedsHuman: a note is damaged itself.
    """
    return [(_read(note), note.with_name(note.stem)) for note in sorted((data / FOLDER).rglob("*.parquet.json"))]


def drop(copy: Path) -> None:
    """Delete ``copy`` and its note, durably: the rows are back, so neither is worth anything."""
    with explained(f"folder {copy.parent}", copy.parent):
        copy.unlink(missing_ok=True)
        _note(copy).unlink(missing_ok=True)
        sync(copy.parent)


def kept(data: Path, path: str) -> tuple[Case, Path] | None:
    """The case of the file ``path`` that was begun once, and its copy; None: there is none."""
    return next((found for found in cases_kept(data) if found[0].path == path), None)


def _read(note: Path) -> Case:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Case)
    except msgspec.DecodeError as error:
        raise NeedsHuman(f"{note} is no note of a damaged file: {error}", remedy="Move it away") from error


def _note(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.json")


def _copy(source: LakeLocation, draft: Path) -> None:
    opened = readable(source)
    with draft.open("wb") as to:
        if isinstance(opened, Path):
            with opened.open("rb") as file:
                while block := file.read(_BLOCK):
                    to.write(block)
        else:
            to.write(opened.read_buffer())
