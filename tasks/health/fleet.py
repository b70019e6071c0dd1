"""``fleet_health``: the few figures that say whether the business goes well; business.py works them out.

Kept beside the store, too (``state/fleet_health.json``), for those who read files: ``/metrics`` and ``lodeline
status`` tell it while no store answers.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from storage.declaration.pipeline import FLEET_HEALTH
from storage.frame import Frame, Value, build_frame

FILE = "fleet_health.json"
_HOUR_S = 3_600


class QualityOfSource(msgspec.Struct, frozen=True, kw_only=True):
    """The newest day (``day``: its start, Unix seconds) of ``source_quality`` of one source; of all miners the mean."""

    source: str
    kind: str
    day: int
    score: float | None = None
    completeness: float | None = None
    timeliness: float | None = None
    accuracy: float | None = None
    consistency: float | None = None


class FleetHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``fleet_health``; see storage/declaration/pipeline.py. ``time``: Unix seconds when it was looked.

    ``sources``: quality of sources as far as it is worked out, for those who read files.
    """

    time: int
    miners: int
    miners_known: int
    miners_answering: int
    known_ratio: float | None = None
    hashrate_expected_hs: float | None = None
    hashrate_delivered_hs: float | None = None
    delivered_ratio: float | None = None
    hashing_uptime_percent: float | None = None
    coverage_percent: float | None = None
    predicted_usd: float | None = None
    credited_usd: float | None = None
    credited_ratio: float | None = None
    profit_day_usd: float | None = None
    profit_mean_usd: float | None = None
    profit_change_usd: float | None = None
    price_age_s: float | None = None
    reason: str | None = None
    sources: tuple[QualityOfSource, ...] = ()


def frame_of(health: FleetHealth) -> Frame:
    """The row of the hour in which it was looked; looked again in that hour it replaces the row."""
    columns: dict[str, list[Value]] = {
        name: [value] for name, value in msgspec.structs.asdict(health).items() if name not in ("time", "sources")
    }
    return build_frame(FLEET_HEALTH.name, [health.time // _HOUR_S * _HOUR_S], {"scope": ["fleet"], **columns})


def keep(state: Path, health: FleetHealth) -> None:
    """Put it beside the store, in ``state``."""
    state.mkdir(parents=True, exist_ok=True)
    draft = state / f"{FILE}.new"
    draft.write_bytes(msgspec.json.encode(health))
    draft.replace(state / FILE)


def kept(state: Path) -> FleetHealth | None:
    """What was kept last; None where this host has not looked, or another version did."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=FleetHealth)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
