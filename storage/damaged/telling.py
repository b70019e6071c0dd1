"""What the audit trail says of damaged files: which were set aside, and which were put back."""

from __future__ import annotations

from pathlib import Path

from storage.audit.entry import AuditKind, Detail
from storage.audit.trail import Trail
from storage.damaged.case import Case

_KINDS = (AuditKind.SET_ASIDE, AuditKind.PUT_BACK)


def last_told(data: Path, host: str, path: str) -> AuditKind | None:
    """What became of the file ``path`` last; None: nothing."""
    told = None
    for entry in Trail.open(data, host).entries():
        if entry.subject == path and entry.kind in _KINDS:
            told = AuditKind(entry.kind)
    return told


def tell(data: Path, host: str, kind: AuditKind, case: Case, *, why: str, actor: str) -> None:
    """Record that ``kind`` was done to ``case``. Again is once."""
    if last_told(data, host, case.path) is kind:
        return
    detail: dict[str, Detail] = {
        "table": case.table,
        "rows": case.rows,
        "first_s": case.first,
        "last_s": case.last,
        "written": case.written,
        "sha256": case.sha256,
        "why": why,
    }
    Trail.open(data, host).record(kind, case.path, actor=actor, detail=detail)
