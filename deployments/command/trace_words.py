"""The way of a point in words, for ``lodeline trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.lineage.of_derived import DerivedTrace
from tasks.lineage.of_sources import SourceTrace
from tasks.lineage.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.lineage.of_sources import AskedThen


def in_words(found: Trace | SourceTrace | DerivedTrace) -> list[str]:
    """Lines for a human."""
    if isinstance(found, DerivedTrace):
        return _of_derived(found)
    return _of_miner(found) if isinstance(found, Trace) else _of_source(found)


def _of_miner(found: Trace) -> list[str]:
    lines = [f"{found.measurement} of {found.miner_id} at {_clock(found.time)}, in {found.store}"]
    lines += _points(found.rows)
    asked = " at ".join(filter(None, (found.driver, found.address))) or "not known"
    lines.append(f"  read by   {asked}{f', Lodeline {found.version}' if found.version else ''}")
    for each in found.carried:
        place = "" if each.sequence is None else f", record {each.sequence}"
        still = " (still in the spool)" if each.on_disk else ""
        host = f" of {each.host}" if each.host else ""
        lines.append(f"  spooled   lane {each.lane}{host}, batch {each.batch_id or 'not known'}{place}{still}")
        if each.answers_in:
            lines.append(f"  the miner in batch {each.answers_in.batch_id}, record {each.answers_in.sequence}{still}")
        lines.append(f"  by run    {each.run_id or 'not known'}")
    for answer in found.answers:
        came = f"no answer: {answer.failure}" if answer.status is None else f"{answer.status}, {answer.size} bytes"
        identity = f", sha256 {answer.sha256[:16]}" if answer.sha256 else ""
        lines.append(f"  answer    {answer.path}: {came}{identity}")
    lines += [f"  note      {note}" for note in found.notes]
    return lines


def _of_source(found: SourceTrace) -> list[str]:
    lines = [f"{found.measurement} of {found.source} at {_clock(found.time)}, in {found.store}"]
    lines += _points(found.rows)
    for asked in found.requests:
        lines += [f"  told by   {_how(asked)}", f"  by run    {asked.run_id or 'not known'}"]
        for answer in asked.answers:
            came = (
                f"{answer.size} bytes" if answer.failure is None and answer.status is None
                else f"no answer: {answer.failure}" if answer.status is None
                else f"{answer.status}, {answer.size} bytes"
            )  # fmt: skip
            identity = f", sha256 {answer.sha256[:16]}" if answer.sha256 else ""
            address = f" of {answer.address}" if answer.address else ""
            lines.append(f"  answer    page {answer.page}{address}: {came}{identity}, Lodeline {answer.version}")
    lines += [f"  note      {note}" for note in found.notes]
    return lines


def _of_derived(found: DerivedTrace) -> list[str]:
    lines = [f"{found.measurement} at {_clock(found.time)}, in {found.store}", *_points([found.row])]
    for one in found.made_from:
        tier = "" if one.tier == "raw" else f" {one.tier}"
        where = "".join(f", {tag} {value}" for tag, value in one.where.items())
        lines.append(
            f"  made from {one.rows}{tier} rows of {one.measurement}{where}, {_clock(one.start)} to {_clock(one.stop)}"
        )
        if one.trace:
            lines.append(f"  go on     {one.trace}")
    lines += [f"  formulas  {found.page}", *(f"  note      {note}" for note in found.notes)]
    return lines


def _how(asked: AskedThen) -> str:
    host = f" by {asked.host}" if asked.host else ""
    said = f"{asked.source}, {asked.request}, at {_clock(asked.slot)}{host}"
    if asked.ok is None:
        return f"{said}: sent over the stream"
    took = "" if asked.latency_ms is None else f" in {asked.latency_ms:.0f} ms"
    return f"{said}: {f'{asked.rows} rows' if asked.ok else f'failed, {asked.failure}'}{took}"


def _points(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    told = ({name: value for name, value in row.items() if value is not None and name != "time"} for row in rows)
    return ["  point     " + ", ".join(f"{name}={_shown(value)}" for name, value in row.items()) for row in told]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _clock(unix_s: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(unix_s, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
