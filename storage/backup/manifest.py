"""What a set holds, with the hash of every file: ``manifest.json`` and, beside it, that file's own hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from storage.errors import NeedsHuman
from storage.spool.durable import replace_file

FILE_NAME, SEAL = "manifest.json", "manifest.sha256"
DATA = "data"
FORMAT = 1
_SET = re.compile(r"\d{8}T\d{6}Z")


class KeptFile(msgspec.Struct, frozen=True):
    """One file by its path under ``data/``; ``mtime_ns`` is that of the original."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole set. ``lake`` and ``archive``: where they are in it, None where they lie elsewhere or are not there.

    ``tables`` maps each table of the lake to its version, ``lanes`` each lane of the spool to its last record.
    ``lake_address`` is where the lake was, for people.
    """

    format: int
    lodeline: str
    host: str
    made_s: int
    took_s: float
    lake: str | None
    lake_address: str
    archive: str | None
    tables: dict[str, int]
    lanes: dict[str, int]
    files: list[KeptFile]
    copied_bytes: int = 0

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into the set ``folder``, durably."""
    content = msgspec.json.encode(manifest)
    replace_file(folder / SEAL, hashlib.sha256(content).hexdigest().encode() + b"\n")
    replace_file(folder / FILE_NAME, content)


def load_manifest(folder: Path) -> Manifest:
    """The manifest of the set ``folder``.

    Raises:
        NeedsHuman: there is none, it is damaged, or a newer release wrote it.
    """
    path = folder / FILE_NAME
    try:
        content, seal = path.read_bytes(), (folder / SEAL).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NeedsHuman(f"{folder} is no whole set of a backup: {error}", remedy="Take another set") from error
    if hashlib.sha256(content).hexdigest() != seal:
        raise NeedsHuman(f"{path} is damaged: its SHA-256 is not the one in {SEAL}", remedy="Take another set")
    try:
        told = msgspec.json.decode(content)["format"]
        if told != FORMAT:
            raise NeedsHuman(
                f"{path} has format {told}, this release knows {FORMAT}",
                remedy="Restore it with the release that made it, or a newer one",
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise NeedsHuman(f"{path} is no manifest of a backup: {error}", remedy="Take another set") from error


def sets_in(folder: Path) -> list[Path]:
    """Whole sets in a backup folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SET.fullmatch(path.name) and (path / FILE_NAME).is_file())
