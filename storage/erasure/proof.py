"""The proof: every byte of every file searched for the name, in whatever form the file holds it.

Parquet is read column by column with its page checksums, with the words of its dictionaries and the statistics in its
footer; records of the spool are inflated and decoded, compressed logs inflated; all else is searched as it is. Where
only a range or some measurements were to be erased, what has times is searched inside the range and what has none is
not counted.
"""

from __future__ import annotations

import contextlib
import gzip
import mmap
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.erasure.entity import Entity
from storage.erasure.rows import scrub_frame
from storage.errors import NeedsHuman
from storage.progress import told
from storage.spool.codec import decode
from storage.spool.segment import Stored, scan

if TYPE_CHECKING:  # comes with the extra [lake]
    from storage.lake.location import LakeLocation


@dataclass(slots=True)
class Proof:
    """``hits`` maps a file to the times (or rows, of data) that it names the entity; ``unreadable`` has those that
    could not be searched. ``bytes`` are those on disk.
    """

    files: int = 0
    bytes: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything was searched and nothing found."""
        return not self.hits and not self.unreadable


def search(
    roots: Iterable[LakeLocation], entity: Entity, *, whole: bool, tell: Callable[[float, float, str], None] = told
) -> Proof:
    """Search every file under ``roots`` (each file once). ``whole``: nothing of the entity shall be left at all.
    ``tell`` hears of each."""
    proof = Proof()
    files = list(_files(roots))
    for number, (path, size) in enumerate(files):
        tell(number, len(files), "searching")
        try:
            hits = _hits(path, entity, whole)
        except FileNotFoundError:
            continue  # a segment delivered, a file merged away: what is in its stead is or was searched
        except (OSError, ValueError, EOFError, zlib.error, NeedsHuman) as error:
            proof.unreadable.append(f"{path}: {error}")
            continue
        proof.files += 1
        proof.bytes += size
        if hits:
            proof.hits[str(path)] = hits
    return proof


def _files(roots: Iterable[LakeLocation]) -> Iterator[tuple[LakeLocation, int]]:
    """Each file once, with its bytes."""
    on_disk: set[Path] = set()
    for root in roots:
        if isinstance(root, Path):
            on_disk |= {path.resolve() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
        else:
            yield from ((root / key, size) for key, size in sorted(root.sizes().items()))
    for path in sorted(on_disk):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat().st_size


def _hits(path: LakeLocation, entity: Entity, whole: bool) -> int:
    if path.suffix == ".parquet":
        return _in_parquet(path, entity, whole)
    if isinstance(path, Path) and path.suffix == ".spool":
        return _in_segment(path, entity)
    if entity.in_bytes is None or not whole:
        return 0
    if not isinstance(path, Path):
        return len(entity.in_bytes.findall(path.read_bytes()))
    if path.suffix == ".gz":
        return len(entity.in_bytes.findall(gzip.decompress(path.read_bytes())))
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(1 for _ in entity.in_bytes.finditer(content))


def _in_parquet(path: LakeLocation, entity: Entity, whole: bool) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from storage.archive.catalogue import entry_of
    from storage.archive.writing import fault_of
    from storage.erasure.lake import texts_of
    from storage.erasure.rows import scrub_table
    from storage.lake.damage import sound
    from storage.lake.location import readable

    archived = entry_of(path) if isinstance(path, Path) else None
    if archived is None:
        source = sound(path)
    elif isinstance(path, Path) and (fault := fault_of(path, archived)):
        raise NeedsHuman(fault, remedy="Put a whole copy in its place, or delete file and entry")
    else:
        source = readable(path)
    if whole and entity.word is not None:
        return sum(entity.mentions(text) for text in texts_of(source))
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        found = _measured_by(file.metadata.metadata or {})
        if found is None:
            return 0
        measurement, tier = found
        if not entity.wants(measurement):
            return 0
        hits = 0
        for batch in file.iter_batches(65_536):
            scrubbed = scrub_table(pa.Table.from_batches([batch]), measurement.tag_names, tier, entity)
            hits += scrubbed.removed + scrubbed.redacted
        return hits


def _measured_by(metadata: Mapping[bytes, bytes]) -> tuple[Measurement, Tier] | None:
    """Which measurement and tier a data file holds; None: it is none of ours."""
    from storage.lake.parquet import TABLE_KEY

    stored = metadata.get(TABLE_KEY.encode(), b"").decode()
    for measurement in MEASUREMENTS.values():
        for tier in measurement.buckets:
            if measurement.stored_name(tier) == stored:
                return measurement, tier
    return None


def _in_segment(path: Path, entity: Entity) -> int:
    hits = 0
    for found in scan(path):
        if not isinstance(found, Stored):
            if found.at_end:
                continue  # being written
            raise NeedsHuman(f"bytes at {found.offset} are no intact record", remedy="Deliver the lane first")
        batch = decode(found.header, found.payload, str(path))
        hits += sum(scrub_frame(frame, entity)[1] for frame in batch.frames)
    return hits
