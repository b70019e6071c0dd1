"""What a question about one entity is answered, online and offline alike: values, of when, and why one is null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.features.view import REMEMBERED_S, FeatureView

EXPIRED, ABSENT, MISSING = "expired", "absent", "missing"
"""Why a value is null: older than the TTL; the entity has no row that was known by then; its row has none."""

Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one entity ``at`` a time. ``event`` and ``known`` are None where there is no row (Unix seconds)."""

    entity: str
    at: int
    event: int | None
    known: int | None
    values: dict[str, Value]
    reasons: dict[str, str]


def reading_of(view: FeatureView, entity: str, at: int, row: tuple[int, int, Sequence[Any]] | None) -> Reading:
    """``row`` (event, known, values in the order of the view) as a question at ``at`` may use it."""
    names = view.feature_names
    nothing: dict[str, Value] = dict.fromkeys(names)
    if row is None or at - row[0] > view.ttl_s + REMEMBERED_S:
        return Reading(entity, at, None, None, nothing, dict.fromkeys(names, ABSENT))
    event, known, told = row
    if at - event > view.ttl_s:
        return Reading(entity, at, event, known, nothing, dict.fromkeys(names, EXPIRED))
    values = dict(zip(names, told, strict=True))
    return Reading(entity, at, event, known, values, {n: MISSING for n, value in values.items() if value is None})
