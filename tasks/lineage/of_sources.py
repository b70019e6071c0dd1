"""A row that a pool or market told, and the way it came: source, request, run, kept answers.

Nothing in a row names its request. Both have the slot, though: rows are stamped with the slot that they were asked at,
and so are the books of the request and its answers. Payouts and daily closes have a time of their own instead, and
what a stream sent has the second in which it was pushed, and no request. Each link that is gone or open is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.declaration.payload import SOURCE_PAYLOAD
from storage.declaration.pipeline import SOURCE_REQUEST
from storage.errors import NeedsHuman
from tasks.lineage.brought import STREAMED, bringing, may_bring
from tasks.pools.prohashing.watch import EVERY_S as WATCHED_EVERY_S
from tasks.pools.prohashing.watch import NAME as WATCH
from tasks.sources.failure import SourceFailureKind

if TYPE_CHECKING:
    from storage.store import Store, Where

HOUR_S, DAY_S = 3_600, 86_400

OWN_TIME_S = {"pool_payout": 31 * DAY_S, "daily_close": 2 * DAY_S}
"""Measurements whose rows have a time of their own, and how far before the time asked for the newest is looked for."""

SHOWN = 20
"""Rows of one source and time that are shown."""

_PAYLOAD = [field.name for field in SOURCE_PAYLOAD.fields if field.name != "body"]
_STRETCHES_S = (8 * DAY_S, 60 * DAY_S)
"""How far after a row with a time of its own its request is looked for, before all that is stored is read."""


class KeptAnswer(msgspec.Struct, frozen=True):
    """One page of a kept answer, without its text. ``slot``: that of the request it came for, Unix seconds."""

    slot: int
    page: str
    status: int | None
    failure: str | None
    size: int | None
    sha256: str | None
    address: str | None
    version: str | None
    received_ms: int | None


class AskedThen(msgspec.Struct, frozen=True):
    """A request as its books tell it, or what a stream sent: then ``ok`` and what else only an answer has is null."""

    slot: int
    source: str
    request: str
    host: str | None
    run_id: str | None
    ok: bool | None
    failure: str | None
    latency_ms: float | None
    rows: int | None
    tries: int | None
    from_cache: bool | None
    age_s: float | None
    answers: list[KeptAnswer]


class SourceTrace(msgspec.Struct, frozen=True):
    """The way of the rows of ``measurement`` that ``source`` told at ``time``. ``notes``: what is gone or open."""

    measurement: str
    source: str
    time: int
    store: str
    rows: list[dict[str, Any]]
    requests: list[AskedThen]
    notes: list[str]


def trace_source(
    store: Store,
    lake: Store | None,
    *,
    measurement: str,
    where: Mapping[str, Sequence[str]],
    at: int,
    now: int,
    keep_days: int,
) -> SourceTrace:
    """Trace the newest row of ``measurement`` at or before ``at`` (Unix seconds) of which ``where`` is true.

    Args:
        store: what is read; ``lake`` holds the answers, None where this host has none.
        keep_days: days that answers are kept.

    Raises:
        NeedsHuman: there is no such row, or several sources have one at that time.
    """
    declared = MEASUREMENTS[measurement]
    of = "source" if "source" in declared.tag_names else "pool_id"
    rows, notes = _rows(store, declared, where, at, of)
    source, time = str(rows[0][of]), int(rows[0]["time"])
    search = _Search(store, lake, measurement, source, now, keep_days)
    requests = search.later(rows, time, notes) if measurement in OWN_TIME_S else search.at_slot(time, notes)
    if measurement == "pool_payout":
        notes.append("usd_at_receipt is worked out afterwards, from market_data of that time")
    return SourceTrace(measurement, source, time, store.name, rows[:SHOWN], requests, notes)


def _rows(
    store: Store, declared: Measurement, where: Mapping[str, Sequence[str]], at: int, of: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the newest time; slow sources are asked once a day."""
    table = None
    for back in (OWN_TIME_S[declared.name],) if declared.name in OWN_TIME_S else (HOUR_S, DAY_S):
        table = store.read(declared, Tier.RAW, at - back, at + 1, where=where)
        if table.num_rows:
            break
    rows = [] if table is None else [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]
    if not rows:
        said = "".join(f", {tag} {' or '.join(values)}," for tag, values in where.items())
        raise NeedsHuman(
            f"no {declared.name}{said} before that time in {store.name}",
            remedy=f"lodeline query {declared.name} --from TIME shows what there is. Its tags: "
            + ", ".join(declared.tag_names),
        )
    newest = max(row["time"] for row in rows)
    found = [row for row in rows if row["time"] == newest]
    told_by = sorted({str(row[of]) for row in found})
    if len(told_by) > 1:
        raise NeedsHuman(
            f"several sources told {declared.name} then: {', '.join(told_by)}", remedy=f"Add --where {of}={told_by[0]}"
        )
    notes: list[str] = []
    if len(found) > SHOWN:
        notes.append(f"{len(found)} series have a row at that time, {SHOWN} are shown: --where tells them apart")
    return found, notes


@dataclass(frozen=True, slots=True)
class _Search:
    """Looks for requests and answers of one source."""

    store: Store
    lake: Store | None
    measurement: str
    source: str
    now: int
    keep_days: int

    @property
    def oldest_kept(self) -> int:
        """Answers before it are gone."""
        return self.now - self.keep_days * DAY_S

    def at_slot(self, slot: int, notes: list[str]) -> list[AskedThen]:
        """What was asked at ``slot`` and may have brought the row, and what a stream sent in that second."""
        books = [row for row in self._books(slot, slot + 1) if self._brought(row)]
        answers = self._answers(slot)
        found = [self._asked(row, answers, notes) for row in books]
        sent = sorted({str(row["request"]) for row in answers if str(row["request"]).startswith(STREAMED)})
        sent = [name for name in sent if may_bring(name, self.measurement)]
        found += [self._sent(slot, name, answers, notes) for name in sent]
        if not found:
            notes.append(self._why_no_request())
        elif len({asked.request for asked in found}) > 1:
            notes.append(
                "several requests told such rows at that time, and the store does not say which one told what: rows of "
                "one series and time are one, field by field"
            )
        if len({asked.host for asked in found if asked.ok is not None}) > 1:
            notes.append("several hosts asked at that time; an answer does not say which of them kept it")
        return found

    def later(self, rows: Sequence[dict[str, Any]], time: int, notes: list[str]) -> list[AskedThen]:
        """The first request after ``time`` that told of the rows: that of the oldest kept answer with their reference,
        else the first that can have."""
        references = sorted({str(row["reference"]) for row in rows if row.get("reference")})
        if references:
            first = self._first(bringing(self.measurement), time)
        else:  # a close: told after its day, coin by coin
            first = self._first(sorted({f"historical.{row['coin_id']}" for row in rows}), time + DAY_S)
        named = self._naming(references, time) if references else None
        if named is None:
            whose = "pool" if references else "source"
            notes.append(
                f"its time is the {whose}'s own, and no kept answer is known to have it: this is the first request "
                "afterwards that told such rows; a later one may have told it, or again"
            )
            if first is None:
                notes.append(self._why_no_request())
                return []
            return [self._asked(first, self._answers(first["time"]), notes)]
        slot, request = named
        notes.append("its time is the pool's own; this is the oldest kept answer that names its reference")
        if first is not None and first["time"] < slot:
            notes.append(
                "it may have been told before: answers to requests before this one are gone, or do not name it"
            )
        return [
            self._asked(book, self._answers(slot), notes)
            for book in self._books(slot, slot + 1)
            if book["request"] == request
        ]

    def _books(self, start: int, stop: int, where: Where | None = None) -> list[dict[str, Any]]:
        table = self.store.read(SOURCE_REQUEST, Tier.RAW, start, stop, where={"source": self.source, **(where or {})})
        return _with_seconds(table.to_pylist())

    def _brought(self, row: dict[str, Any]) -> bool:
        """An account that is gone or refuses has rows too, made of the failure of whatever was asked."""
        failed = row["ok"] is False and self.measurement == "pool_account"
        return failed or may_bring(row["request"], self.measurement)

    def _answers(self, slot: int) -> list[dict[str, Any]]:
        if self.lake is None:
            return []
        where = {"source": self.source}
        table = self.lake.read(SOURCE_PAYLOAD, Tier.RAW, slot, slot + 1, where=where, columns=_PAYLOAD)
        return _with_seconds(table.to_pylist())

    def _asked(self, book: dict[str, Any], answers: Sequence[dict[str, Any]], notes: list[str]) -> AskedThen:
        own = [row for row in answers if row["request"] == book["request"]]
        if not own and book["from_cache"]:
            own = self._kept_before(book)
            notes.append(
                f"{book['request']}: its answer was one kept from before, {book['age_s'] or 0.0:g} s old"
                + ("; shown is that of the request that fetched it" if own else ", and is not in the lake")
            )
        elif not own:
            notes.append(f"{book['request']}: {self._why_no_answer(book)}")
        told = {name: book[name] for name in AskedThen.__struct_fields__ if name not in ("slot", "source", "answers")}
        return AskedThen(slot=book["time"], source=self.source, answers=_kept(own), **told)

    def _kept_before(self, book: dict[str, Any]) -> list[dict[str, Any]]:
        """The newest answers to the request before it; a cached one is at most ``age_s`` and a slot older."""
        if self.lake is None:
            return []
        start = book["time"] - int(book["age_s"] or 0.0) - 300
        where = {"source": self.source, "request": book["request"]}
        table = self.lake.read(SOURCE_PAYLOAD, Tier.RAW, start, book["time"], where=where, columns=_PAYLOAD)
        rows = [row for row in _with_seconds(table.to_pylist()) if row["failure"] is None]
        newest = max((row["time"] for row in rows), default=None)
        return [row for row in rows if row["time"] == newest]

    def _sent(self, slot: int, request: str, answers: Sequence[dict[str, Any]], notes: list[str]) -> AskedThen:
        """What a stream sent in that second. Its run is that of the watch over the connection, in the same shift."""
        watch = self._watch(slot)
        notes.append(
            f"{request}: the source sent it over its stream, nobody asked"
            + ("; host and run are those of the watch over the connection" if watch else "")
        )
        return AskedThen(
            slot=slot,
            source=self.source,
            request=request,
            host=watch["host"] if watch else None,
            run_id=watch["run_id"] if watch else None,
            ok=None,
            failure=None,
            latency_ms=None,
            rows=None,
            tries=None,
            from_cache=None,
            age_s=None,
            answers=_kept([row for row in answers if row["request"] == request]),
        )

    def _watch(self, slot: int) -> dict[str, Any] | None:
        where = {"source": WATCH}
        rows = self.store.read(SOURCE_REQUEST, Tier.RAW, slot - 2 * WATCHED_EVERY_S, slot + 1, where=where).to_pylist()
        return max(rows, key=lambda row: row["time"], default=None)

    def _first(self, names: Sequence[str], start: int) -> dict[str, Any] | None:
        for stretch in (*_STRETCHES_S, self.now - start):
            if start > self.now:
                break
            books = self._books(start, min(start + stretch, self.now) + 1, {"request": list(names)})
            told = [row for row in books if row["ok"] and row["rows"]]
            if told:
                return min(told, key=lambda row: row["time"])
        return None

    def _naming(self, references: Sequence[str], time: int) -> tuple[int, str] | None:
        """Slot and request of the oldest kept answer that has one of ``references`` as a word."""
        if self.lake is None:
            return None
        words = re.compile("|".join(rf"(?<!\w){re.escape(reference)}(?!\w)" for reference in references))
        where = {"source": self.source, "request": bringing(self.measurement)}
        for start in range(max(time, self.oldest_kept - DAY_S), self.now + 1, DAY_S):
            table = self.lake.read(
                SOURCE_PAYLOAD, Tier.RAW, start, min(start + DAY_S, self.now + 1), where=where, columns=["body"]
            )
            found = [row for row in _with_seconds(table.to_pylist()) if row["body"] and words.search(row["body"])]
            if found:
                oldest = min(found, key=lambda row: row["time"])
                return oldest["time"], oldest["request"]
        return None

    def _why_no_request(self) -> str:
        said = "no request that tells such rows is stored at this time: older than mining_operational keeps"
        if WATCH.startswith(f"{self.source}_"):
            return f"{said}, or sent over the stream, whose answers are not in the lake of this host any more"
        return f"{said}, or not written by a shift"

    def _why_no_answer(self, book: dict[str, Any]) -> str:
        if book["failure"] == SourceFailureKind.BUDGET:
            return "nothing was sent, for want of credits"
        if self.lake is None:
            return "this host keeps no answers: its lake is off"
        if book["time"] < self.oldest_kept:
            return "its answers are gone: they are older than raw_data.miner_payloads.retention_days"
        return "no answer is in the lake of this host: another host asked, or it needed no answer"


def _with_seconds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "time": int(row["time"].timestamp())} for row in rows]


def _kept(rows: Sequence[dict[str, Any]]) -> list[KeptAnswer]:
    names = [name for name in KeptAnswer.__struct_fields__ if name != "slot"]
    ordered = sorted(rows, key=lambda row: int(row["page"]))
    return [KeptAnswer(slot=row["time"], **{name: row[name] for name in names}) for row in ordered]
