"""How the pipeline of this host stands, from its files; and what it measured of itself, from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.declaration import MEASUREMENTS
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.errors import NeedsHuman
from storage.store import Store, credible
from tasks.health.status import Status, read_status
from tasks.sources.standing import RequestStanding

Row = Mapping[str, Any]

_HOST_S = HOUR_S
_VOLUME_S = 2 * DAY_S


@dataclass(frozen=True, slots=True)
class Health:
    """``status`` as it was ``at`` (Unix seconds)."""

    status: Status
    at: float


@dataclass(frozen=True, slots=True)
class Machines:
    """Newest rows of what hosts measure of themselves: ``hosts`` and ``deliveries`` every five minutes, ``volumes``
    every hour, the fullest first; ``sources``: success in their newest whole hour, by name."""

    hosts: Sequence[Row]
    deliveries: Mapping[tuple[str, str, str], Row]
    volumes: Sequence[Row]
    sources: Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One pool or provider: ``success``: slot of the newest data; ``failing`` of ``requests``, and why the first of
    them does."""

    source: str
    lane: str
    success: int | None
    requests: int
    failing: int
    why: str


def read_health(data_directory: Path, now: float) -> Health:
    """The pipeline at ``now``; reads files only.

    Raises:
        NeedsHuman: this user may not read the data directory.
    """
    try:
        return Health(read_status(data_directory, now), now)
    except PermissionError as error:
        raise NeedsHuman(
            f"{error.filename} cannot be read: {error.strerror}", remedy="Run the page as the user that collects"
        ) from error


def read_machines(store: Store, now: float) -> Machines:
    """What hosts measured of themselves.

    Raises:
        TryAgain: the store does not answer.
    """

    def newest(name: str, since_s: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = store.newest(
            MEASUREMENTS[name], int(now) - since_s, before=credible(now)
        ).to_pylist()
        return rows

    volumes = newest("pipeline_volume", _VOLUME_S)
    return Machines(
        sorted(newest("pipeline_host", _HOST_S), key=lambda row: str(row["host"])),
        {(row["host"], row["lane"], row["sink"]): row for row in newest("pipeline_delivery", _HOST_S)},
        sorted(volumes, key=lambda row: (row["free"] or 0) / (row["total"] or 1)),
        {row["source"]: row for row in newest("source_hour", 3 * HOUR_S)},
    )


def sources_of(status: Status) -> list[SourceLine]:
    """Sources of all lanes, those that fail first. What a stream brings counts as asked well."""
    paused = {one.subject: one.in_words() for one in status.overrides}
    grouped: dict[tuple[str, str], list[RequestStanding]] = {}
    for lane in status.lanes:
        for request in lane.sources:
            grouped.setdefault((request.source, lane.lane), []).append(request)
    found = []
    for (source, lane_name), requests in grouped.items():
        failing = [one for one in requests if one.failure is not None]
        worst = max(failing, key=lambda one: one.failures_in_a_row, default=None)
        why = "" if worst is None else f"{worst.request}: {worst.failure}: {worst.message or 'no word of it'}"
        success = max((one.success_slot for one in requests if one.success_slot is not None), default=None)
        why = "; ".join(filter(None, (paused.get(source, ""), why)))
        found.append(SourceLine(source, lane_name, success, len(requests), len(failing), why))
    return sorted(found, key=lambda one: (-one.failing, one.source))
