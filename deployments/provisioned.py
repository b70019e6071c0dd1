"""What provisioning did, in the audit trail."""

from __future__ import annotations

from storage.audit.trail import AuditKind, Trail
from storage.influx.provisioning.plan import (
    ChangeKeeping,
    ChangeRights,
    CreateBucket,
    CreateMapping,
    Drift,
    GiveAccess,
    Step,
)


def note(trail: Trail, step: Step, *, actor: str, server: str) -> None:
    """Record a step that was taken on the InfluxDB at address ``server``.

    Raises:
        NeedsHuman: the trail cannot be written.
    """
    if isinstance(step, Drift):
        return
    kind, subject = _entry(step)
    trail.record(kind, subject, actor=actor, detail={"server": server, "step": str(step)})


def _entry(step: CreateBucket | ChangeKeeping | CreateMapping | GiveAccess | ChangeRights) -> tuple[AuditKind, str]:
    if isinstance(step, CreateBucket):
        return AuditKind.BUCKET_PROVISIONED, f"bucket {step.bucket}"
    if isinstance(step, ChangeKeeping):
        return AuditKind.RETENTION_CHANGED, f"bucket {step.bucket}"
    if isinstance(step, CreateMapping):
        return AuditKind.BUCKET_PROVISIONED, f"mapping {step.database}"
    return AuditKind.ACCESS_CHANGED, f"access {step.access.name}"
