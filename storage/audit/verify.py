"""Walking a trail: does every entry fit, and is the newest one still there?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.audit.entry import FIRST_PREVIOUS, AuditEntry, AuditKind, decoded


@dataclass(frozen=True, slots=True)
class Anchor:
    """Sequence and hash of the newest entry that a store knows of a host."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk found. ``line`` counts from 1 and, with ``fault``, names the first entry that does not fit."""

    entries: int
    last: AuditEntry | None
    fault: str | None = None
    line: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, removed, inserted or moved."""
        return self.fault is None


def verify(path: Path, anchor: Anchor | None = None) -> Verified:
    """Walk the trail at ``path``. With ``anchor``, entries missing at its end are found as well.

    A torn line at the very end is one that nobody was told of, and no fault. A file that does not exist is an empty
    trail, which is a fault where there is an anchor.
    """
    last: AuditEntry | None = None
    count = 0
    cuts: set[tuple[int, str]] = set()
    redacted: dict[int, int] = {}
    excused: set[int] = set()
    first: AuditEntry | None = None
    anchored = anchor is None
    for number, line in _lines(path):
        entry = decoded(line)
        if entry is None:
            return Verified(count, last, "it is no entry of an audit trail, or was changed", number)
        if (fault := entry.fault()) or (fault := _misplaced(last, entry)):
            return Verified(count, last, f"entry {entry.sequence}: {fault}", number)
        if entry.is_redacted:
            redacted[entry.sequence] = number
        if entry.kind == AuditKind.TRAIL_CUT and entry.detail:
            cuts.add((int(entry.detail.get("through_sequence") or 0), str(entry.detail.get("last_hash"))))
        if entry.kind == AuditKind.REDACTED and entry.detail:
            excused |= _numbers(str(entry.detail.get("entries") or ""))
        if anchor is not None and entry.sequence == anchor.sequence:
            if entry.hash != anchor.hash:
                return Verified(count, last, f"entry {entry.sequence}: a store has it with another hash", number)
            anchored = True
        first, last, count = first or entry, entry, count + 1
    if first is not None and first.sequence > 1 and (first.sequence - 1, first.previous) not in cuts:
        return Verified(count, last, f"entries before {first.sequence} were removed, and no cut is recorded", 1)
    for sequence, number in redacted.items():
        if sequence not in excused:
            return Verified(count, last, f"entry {sequence}: its content was taken out, and no erasure says so", number)
    if anchor is not None and not anchored and (last is None or last.sequence < anchor.sequence):
        return Verified(
            count, last, f"its end was cut off: a store has entry {anchor.sequence}, here the last one is "
            f"{last.sequence if last else 'missing'}", count + 1,
        )  # fmt: skip
    return Verified(count, last)


def _misplaced(last: AuditEntry | None, entry: AuditEntry) -> str | None:
    if last is None:
        if entry.sequence == 1 and entry.previous != FIRST_PREVIOUS:
            return "it claims to be the first and yet to follow another"
        return None
    if entry.sequence != last.sequence + 1:
        return f"expected entry {last.sequence + 1}: one was removed, inserted or moved"
    if entry.previous != last.hash:
        return "it does not follow the entry before it"
    return None


def _numbers(text: str) -> set[int]:
    return {int(part) for part in text.split(",") if part.strip().isdecimal()}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield number, line
    except FileNotFoundError:
        return
