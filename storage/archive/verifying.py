"""Whether archived files are still what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart, State
from storage.archive.writing import fault_of


@dataclass(slots=True)
class VerifyReport:
    """What was checked: files, bytes, and a line per fault with the file's name and both hashes."""

    files: int = 0
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


def verify(
    catalogue: Catalogue,
    parts: Sequence[ArchivedPart],
    *,
    read: bool = False,
    told: Callable[[ArchivedPart], None] = lambda _: None,
) -> VerifyReport:
    """Hash the files of ``parts``, and with ``read`` read every row; mark in the catalogue what is damaged or whole
    again."""
    report = VerifyReport()
    for part in parts:
        fault = fault_of(catalogue.path(part), part, read=read)
        report.files += 1
        report.bytes += part.bytes
        if fault is not None:
            report.faults.append(fault)
            if part.state is not State.DAMAGED:
                catalogue.mark(part, State.DAMAGED)
        elif part.state is State.DAMAGED:
            catalogue.mark(part, State.MOVED)
        told(part)
    return report
