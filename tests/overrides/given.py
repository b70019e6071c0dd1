"""Overrides as tests give them."""

from __future__ import annotations

from typing import Any

from tasks.overrides.override import Kind, Override, Target

T = 1_800_000_000


def override(subject: str, kind: Kind = Kind.PAUSE, target: Target = Target.MINER, **over: Any) -> Override:
    """One that holds from T for an hour."""
    usual: dict[str, Any] = {"id": f"{kind}-{subject}", "made": float(T), "until": T + 3_600.0, "by": "ana"}
    return Override(kind=kind, target=target, subject=subject, **{**usual, "why": "fan swap", **over})
