"""Looks at this host as rows of ``pipeline_host``, ``pipeline_process`` and ``pipeline_delivery``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from storage.declaration.pipeline import PIPELINE_DELIVERY, PIPELINE_HOST, PIPELINE_PROCESS
from storage.delivery.books import Books
from storage.frame import Frame, Value, build_frame
from tasks.health.host import HostState
from tasks.health.processes import Usage

LANES_OF_THE_PAST = frozenset({"backfill", "replay"})
"""Lanes of readings of long ago: that they come late is what they are for."""
FIRST = "first_look"

LaneAndSink = tuple[str, str]


def host_frame(
    looks: Sequence[HostState], before: HostState | None, offset: float | str, host: str, time: int
) -> Frame:
    """One row at ``time`` (Unix seconds) of ``looks`` (at least one, oldest first): the newest, and the worst of some.

    ``before``: the last look of the row before. ``offset``: of the clock, seconds, or why it is not known.
    """
    now = looks[-1]
    reasons = dict(now.reasons) | ({"clock_offset_s": offset} if isinstance(offset, str) else {})
    busy: float | None = None
    if now.cpu is not None and (before is None or before.cpu is None):
        reasons["cpu_busy"] = FIRST
    elif now.cpu is not None and before is not None and before.cpu is not None:
        whole_s = now.cpu.whole_s - before.cpu.whole_s
        busy = (now.cpu.busy_s - before.cpu.busy_s) / whole_s if whole_s > 0 else None
    columns: dict[str, Value] = {
        "host": host,
        "cpu_busy": None if busy is None else min(1.0, max(0.0, busy)),
        "cpus": now.cpus,
        "load_1m": now.load_1m,
        "memory_total": now.memory_total,
        "memory_available": min(
            (one.memory_available for one in looks if one.memory_available is not None), default=None
        ),
        "swap_used": now.swap_used,
        "disk_total": now.disk_total,
        "disk_free": now.disk_free,
        "temperature_c": max((one.temperature_c for one in looks if one.temperature_c is not None), default=None),
        "throttled": _any(one.throttled for one in looks),
        "under_voltage": _any(one.under_voltage for one in looks),
        "uptime_s": now.uptime_s,
        "clock_synchronised": now.clock.synchronised if now.clock else None,
        "clock_error_s": now.clock.error_s if now.clock else None,
        "clock_offset_s": None if isinstance(offset, str) else offset,
        "reason": _told(reasons),
    }
    return build_frame(PIPELINE_HOST.name, [time], {name: [value] for name, value in columns.items()})


def process_frame(found: Sequence[Usage], host: str, time: int) -> Frame:
    """A row of each kind of process at ``time``."""
    reasons = [
        {
            **({"cpu_cores": FIRST} if one.cpu_cores is None else {}),
            **{name: "not_readable" for name in ("pss", "open_files") if getattr(one, name) is None},
        }
        for one in found
    ]
    columns: dict[str, list[Value]] = {
        "host": [host] * len(found),
        "process": [one.kind for one in found],
        **{
            name: [getattr(one, name) for one in found]
            for name in ("processes", "cpu_cores", "rss", "pss", "open_files", "threads")
        },
        "reason": [_told(one) for one in reasons],
    }
    return build_frame(PIPELINE_PROCESS.name, [time] * len(found), columns)


def delivery_frame(
    now: Mapping[LaneAndSink, Books], before: Mapping[LaneAndSink, Books] | None, seconds: float, host: str, time: int
) -> Frame:
    """A row of each lane and sink at ``time``. ``before``: their books ``seconds`` ago; None: not known."""
    rows = [_delivery(key, now[key], None if before is None else before.get(key), seconds, time) for key in sorted(now)]
    names = {name for row in rows for name in row}
    columns: dict[str, Sequence[Value]] = {name: [row.get(name) for row in rows] for name in names}
    return build_frame(PIPELINE_DELIVERY.name, [time] * len(rows), {**columns, "host": [host] * len(rows)})


def _delivery(key: LaneAndSink, now: Books, before: Books | None, seconds: float, time: int) -> dict[str, Value]:
    lane, sink = key
    reasons: dict[str, str] = {}
    row: dict[str, Value] = {
        "lane": lane,
        "sink": sink,
        "backlog": now.backlog,
        "dead_lettered": now.dead_lettered,
        "shed": now.shed,
        "trouble": now.trouble,
    }
    if before is None or seconds <= 0:
        reasons |= {"accepted_per_s": FIRST, "stored_per_s": FIRST, "lag": FIRST}
    else:
        row["accepted_per_s"] = max(0, now.accepted - before.accepted) / seconds
        row["stored_per_s"] = max(0, now.stored - before.stored) / seconds
    if lane in LANES_OF_THE_PAST:
        reasons |= {"lag": "of_the_past", "waiting_s": "of_the_past"}
        return {**row, "reason": _told(reasons)}
    row["waiting_s"] = waiting_s(now, time)
    if row["waiting_s"] is None:
        reasons["waiting_s"] = "nothing_stored_yet"
    if before is not None and now.lag is not None:
        delays = now.lag.delays.since(before.lag.delays if before.lag else None)
        row |= {f"lag_p{part}_s": delays.quantile(part / 100) for part in (50, 95, 99)}
    if "lag" not in reasons and row.get("lag_p50_s") is None:
        reasons["lag"] = "nothing_stored"
    return {**row, "reason": _told(reasons)}


def waiting_s(books: Books, now: float) -> float | None:
    """How far the store is behind: seconds since the reading of what it took last, while other points wait; else 0."""
    if books.backlog == 0:
        return 0.0
    return None if books.lag is None else max(0.0, now - books.lag.slot)


def _any(flags: Iterable[bool | None]) -> bool | None:
    known = [flag for flag in flags if flag is not None]
    return any(known) if known else None


def _told(reasons: Mapping[str, str]) -> str | None:
    return ",".join(f"{name}:{reason}" for name, reason in sorted(reasons.items())) or None
