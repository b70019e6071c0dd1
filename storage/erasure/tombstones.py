"""Cases: what was erased, kept so that it cannot come back, without its name.

One file per case, ``<data>/erasure/<case>.json``. It has the range and, for each tag, SHA-256 over a salt of the case
and the value: enough to recognise the entity when it comes again by a late delivery, a replay or a restore. Whoever has
the file and guesses a name can check the guess; no form that recognises can do without that.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from storage.declaration import MEASUREMENTS, Measurement
from storage.erasure.entity import Entity
from storage.erasure.rows import tags_of, without_rows
from storage.errors import NeedsHuman
from storage.frame import Frame
from storage.sink import Receipt, Sink
from storage.spool.durable import replace_file, sync_directory
from storage.spool.record import Batch, SpoolRecord

if TYPE_CHECKING:  # comes with the extra [lake]; deliveries need none
    import pyarrow as pa


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One erasure. ``tags`` maps tag to salted hash; ``began_s`` and ``[start, stop)`` are Unix seconds."""

    number: str
    salt: str
    tags: dict[str, str]
    start: int
    stop: int
    measurements: list[str] | None
    state: Literal["begun", "done"]
    began_s: int

    def is_of(self, entity: Entity) -> bool:
        """Whether it is the case of ``entity``, whatever its end: "until now" is a later end each time."""
        same = {name: digest(self.salt, value) for name, value in entity.tags.items()} == self.tags
        wanted = None if entity.measurements is None else sorted(entity.measurements)
        return same and self.start == entity.start and self.measurements == wanted

    def holds(self, measurement: str, tags: dict[str, str], time_s: int, width_s: int = 1) -> bool:
        """Whether a row was erased and must not come again. A window of ``width_s`` that the range cuts may: it is made
        of what is left."""
        if not self.start <= time_s <= self.stop - width_s:
            return False
        if self.measurements is not None and measurement not in self.measurements:
            return False
        return self.is_about(tags)

    def is_about(self, tags: dict[str, str]) -> bool:
        """Whether a row with ``tags`` is of the entity, whenever it is of."""
        if all(name in tags and digest(self.salt, tags[name]) == said for name, said in self.tags.items()):
            return True
        (said, *more) = self.tags.values()
        alone = not more and next(iter(self.tags)).endswith("_id")
        return alone and any(digest(self.salt, value) == said for value in tags.values())


@lru_cache(maxsize=65_536)
def digest(salt: str, value: str) -> str:
    """What stands for ``value`` in the case with ``salt``."""
    return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()


class Tombstones:
    """The cases of a host. Cheap to ask: the folder is read again only when it changed."""

    def __init__(self, data_directory: Path) -> None:
        self.folder = data_directory / "erasure"
        self._seen = 0
        self._cases: list[Case] = []

    def cases(self) -> list[Case]:
        """All cases, oldest first.

        Raises:
            NeedsHuman: a case cannot be read. Nothing may be stored meanwhile: it could be what was erased.
        """
        try:
            changed = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        if changed != self._seen:
            self._cases = [_read(path) for path in sorted(self.folder.glob("*.json"))]
            # A second write within the clock's tick would not show: what is that young is read again.
            self._seen = changed if time.time_ns() - changed > 10**9 else 0
        return self._cases

    def begin(self, entity: Entity, now: int) -> Case:
        """The case of ``entity``: the open one, where a run was killed, else a new one. Durable on return."""
        for case in self.cases():
            if case.state == "begun" and case.is_of(entity):
                return self._write(msgspec.structs.replace(case, stop=max(case.stop, entity.stop)))
        salt = secrets.token_hex(32)
        number = f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(4)}"
        return self._write(
            Case(
                number=number,
                salt=salt,
                tags={name: digest(salt, value) for name, value in entity.tags.items()},
                start=entity.start,
                stop=entity.stop,
                measurements=None if entity.measurements is None else sorted(entity.measurements),
                state="begun",
                began_s=now,
            )
        )

    def finish(self, case: Case) -> Case:
        """Note that ``case`` is done. It stays: what was erased must not come again."""
        return self._write(msgspec.structs.replace(case, state="done"))

    def without_erased(self, frame: Frame) -> Frame:
        """``frame`` without rows that were erased, and without the empty ones that an erasure left in the spool."""
        cases = self.cases()
        declared = MEASUREMENTS.get(frame.measurement)
        if not cases or declared is None:
            return frame
        dropped = {row for row in range(len(frame)) if all(values[row] is None for values in frame.columns.values())}
        known = {said for case in cases for said in case.tags.values()}
        words = {word for name in declared.tag_names for word in frame.columns.get(name, ()) if word is not None}
        if any(digest(case.salt, word) in known for case in cases for word in words):
            for row, at in enumerate(frame.times):
                tags = tags_of(declared, frame.columns, row)
                if any(case.holds(frame.measurement, tags, at) for case in cases):
                    dropped.add(row)
        return without_rows(frame, dropped) if dropped else frame

    def without_erased_rows(self, measurement: Measurement, rows: pa.Table, width_s: int = 1) -> pa.Table:
        """``rows`` (tags, and ``time`` as a timestamp) without those that were erased; ``width_s``: they are windows so
        long, see :meth:`Case.holds`. The very same ones where none was."""
        cases = self.cases()
        if not cases:
            return rows
        known = {said for case in cases for said in case.tags.values()}
        there = [name for name in measurement.tag_names if name in rows.column_names]
        columns = {name: rows[name].cast("string").to_pylist() for name in there}
        words = {word for values in columns.values() for word in values if word is not None}
        if not any(digest(case.salt, word) in known for case in cases for word in words):
            return rows
        times = [at.timestamp() // 1 for at in rows["time"].to_pylist()]
        keep = [
            not any(
                case.holds(measurement.name, tags_of(measurement, columns, row), int(at), width_s) for case in cases
            )
            for row, at in enumerate(times)
        ]
        return rows if all(keep) else rows.filter(keep)

    def _write(self, case: Case) -> Case:
        made = not self.folder.is_dir()
        self.folder.mkdir(parents=True, exist_ok=True)
        if made:
            sync_directory(self.folder.parent)
        replace_file(self.folder / f"{case.number}.json", msgspec.json.encode(case) + b"\n")
        return case


class HonouringSink:
    """A sink that passes by what was erased. Rows passed by count as stored: nothing of them is left to do."""

    def __init__(self, sink: Sink, tombstones: Tombstones) -> None:
        self._sink = sink
        self._tombstones = tombstones

    @property
    def name(self) -> str:
        """Name of the sink itself, whose marks go on."""
        return self._sink.name

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """See :class:`storage.sink.Sink`."""
        if not self._tombstones.cases():
            return self._sink.deliver(records)
        kept = [_without_erased(record, self._tombstones) for record in records]
        receipt = self._sink.deliver(kept)
        passed = sum(r.batch.points for r in records) - sum(r.batch.points for r in kept)
        return Receipt(receipt.stored + passed, receipt.dead)


def _without_erased(record: SpoolRecord, tombstones: Tombstones) -> SpoolRecord:
    batch = record.batch
    frames = [tombstones.without_erased(frame) for frame in batch.frames]
    if all(new is old for new, old in zip(frames, batch.frames, strict=True)):
        return record
    kept = [frame for frame in frames if len(frame)]
    return msgspec.structs.replace(record, batch=Batch(batch.batch_id, batch.slot, batch.run_id, kept))


def _read(path: Path) -> Case:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Case)
    except msgspec.DecodeError as error:
        raise NeedsHuman(
            f"{path} is no case of an erasure ({error}); nothing is stored, for it could be what was erased",
            remedy="Restore it from a backup, or move it away to give up what it keeps from coming back",
        ) from error
