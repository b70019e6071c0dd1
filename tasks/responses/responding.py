"""The responder: after each look it judges what was done, and answers what fires. It may be killed at any point.

The order of one answer: what would be done is asked for, evidence is on the disk, then the intent, then the audit
trail; only then the act begins. An intent without an outcome, found after a kill, is never acted on again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from storage.audit.trail import AuditKind, Trail
from storage.declaration import Tier
from storage.declaration.event import RESPONSE_EVENT
from storage.declaration.miner import MINER_BOARD, MINER_CONFIGURATION, MINER_FAN, MINER_TELEMETRY
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Frame, build_frame
from storage.store import Store, credible
from tasks.alerts.book import Book, Look
from tasks.alerts.facts import STALE_INTERVALS
from tasks.alerts.life_cycle import Alert
from tasks.alerts.settings import AlertSettings
from tasks.miners.memory import SUFFIX, MemoryFile
from tasks.miners.settings import MinerSettings
from tasks.miners.sites import lane_of
from tasks.overrides.file import OverrideFile
from tasks.overrides.hosts import asking
from tasks.overrides.override import Overrides
from tasks.overrides.told import ToldOverrides
from tasks.responses.acting import CannotDo, Hands, Plan
from tasks.responses.book import FILE_NAME, ResponseBook
from tasks.responses.deciding import DAY_S, Circumstances, Wanted, decide, judged
from tasks.responses.response import OF_MINERS, Act, Happened, Mode, Phase, Response
from tasks.responses.settings import ResponseSettings
from tasks.sources.lanes import MARKET, POOLS

MOST_A_LOOK = 5
"""Answers begun after one look, the worst alerts first; the next ones come a look later."""
_EVIDENCE_S = 3_600
_CONFIGURATION_S = 2 * 86_400
ACTOR = "responses"
_AUDITED = {
    Phase.DONE: AuditKind.RESPONSE_DONE,
    Phase.FAILED: AuditKind.RESPONSE_FAILED,
    Phase.UNCLEAR: AuditKind.RESPONSE_FAILED,
}
"""Kind of the audit entry of a phase; of all others that it was judged."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RespondReport:
    """What was done after one look."""

    planned: int
    done: int
    failed: int
    judged: int
    held_back: int

    def in_words(self) -> str:
        """It in one line."""
        return (
            f"{self.planned} responses planned, {self.done} done, {self.failed} failed, {self.judged} judged, "
            f"{self.held_back} alerts held back"
        )


class Responder:
    """Answers alerts as configured. ``respond`` blocks; one at a time, by whoever holds the watch's baton.

    Args:
        open_store: opens the store that readings come from; again after it failed.
        data_directory, host: of this host, whose alerts are answered.
        miners: of the configuration; they must be in reach from here.
        settings, alerts: of the configuration.
        several_hosts: miners are polled by other hosts too; what is set by hand there is told in the store, and an
            order set here does not reach them.
        hands: does the acts; of this host's own files and drivers but in tests.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        data_directory: Path,
        *,
        host: str,
        miners: Sequence[MinerSettings],
        settings: ResponseSettings,
        alerts: AlertSettings,
        several_hosts: bool = False,
        hands: Hands | None = None,
    ) -> None:
        self._open_store = open_store
        self._state = data_directory / "state"
        self._trail = Trail.open(data_directory, host)
        self._miners = {miner.id: miner for miner in miners}
        self._settings = settings
        self._alerts = alerts
        self._rules = alerts.rules_in_force()
        self._host = host
        self._told = ToldOverrides() if several_hosts else None
        self._hands = hands or Hands(
            self._miners, self._state, detected=self._detected, elsewhere=self._elsewhere if several_hosts else _nowhere
        )
        self._store: Store | None = None

    @property
    def has_work(self) -> bool:
        """Whether there is anything to do or to judge: responses are on, or were once."""
        return self._settings.mode is not Mode.OFF or (self._state / FILE_NAME).exists()

    def respond(self, now: float) -> RespondReport:
        """Judge and answer at ``now`` (Unix seconds).

        Raises:
            NeedsHuman: a book or the file of overrides cannot be read; nothing is done then.
        """
        off = self._settings.mode is Mode.OFF
        book = ResponseBook.look_into(self._state) if off else ResponseBook.open(self._state)
        alerts = Book.look_into(self._state)
        try:
            if book is None or alerts is None:
                return RespondReport(0, 0, 0, 0, 0)
            with alerts.transaction():
                look, held = alerts.last_look(), alerts.alerts()
            self._recover(book, now)
            judged_now = 0 if look is None else self._judge(book, held, look, now)
            planned, done, failed, held_back = 0, 0, 0, 0
            if not off and look is not None:
                planned, done, failed, held_back = self._answer(book, held, look, now)
            self._write_down(book)
        finally:
            for one in (book, alerts):
                if one is not None:
                    one.close()
        return RespondReport(planned, done, failed, judged_now, held_back)

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _recover(self, book: ResponseBook, now: float) -> None:
        """An intent that an earlier process left without an outcome is told to a human, and never acted on again."""
        for one in book.unfinished():
            if one.phase is Phase.PLANNED:
                told = "Lodeline was ended before it noted what came of it; look whether it was done"
                self._end(book, one, Phase.UNCLEAR, told, now)

    def _judge(self, book: ResponseBook, alerts: Mapping[str, Alert], look: Look, now: float) -> int:
        count = 0
        for one in book.unfinished():
            found = judged(one, alerts.get(one.alert_id), look, now)
            if found is not None:
                self._end(book, one, *found, now)
                count += 1
        return count

    def _answer(
        self, book: ResponseBook, alerts: Mapping[str, Alert], look: Look, now: float
    ) -> tuple[int, int, int, int]:
        rules = {action.rule for action in self._settings.actions}
        candidates = [alert for alert in alerts.values() if alert.firing and alert.rule in rules]
        by_hand = Overrides.at(OverrideFile(self._state).read(), now)
        fresh, trouble = self._fresh({alert.entity for alert in candidates} & self._miners.keys(), now)
        if self._told is not None and candidates and trouble is None:
            try:
                by_hand = Overrides((*by_hand.all, *self._told.look(self._read(), now)))
            except (TryAgain, NeedsHuman) as error:
                self.close()
                trouble = str(error)
        site_sizes: dict[str, int] = {}
        for miner in self._miners.values():
            site_sizes[miner.site] = site_sizes.get(miner.site, 0) + 1
        known = Circumstances(
            now=now,
            look=look,
            look_every_s=self._alerts.check_interval_seconds,
            earlier=book.responses(now - 2 * DAY_S),
            by_hand=by_hand,
            site_of={miner.id: miner.site for miner in self._miners.values()},
            site_sizes=site_sizes,
            fresh=fresh,
            store_trouble=trouble,
        )
        wanted, held = decide(self._settings, candidates, known)
        held |= {one.alert.id: "others come first; the next look answers it" for one in wanted[MOST_A_LOOK:]}
        plans = asyncio.run(self._plans(wanted[:MOST_A_LOOK], int(now)))
        begun = [one for one in (self._intend(book, *one, now) for one in plans) if one is not None]
        book.note_look(held, now)
        outcomes = asyncio.run(self._do(begun, now))
        for (response, _, _), told in zip(begun, outcomes, strict=True):
            if isinstance(told, CannotDo):
                self._end(book, response, Phase.FAILED, str(told), now)
            else:
                self._end(book, response, Phase.DONE, told, now)
        failed = sum(isinstance(told, CannotDo) for told in outcomes)
        return len(plans), len(begun) - failed, failed, len(held)

    async def _plans(self, wanted: Sequence[Wanted], slot: int) -> list[tuple[Wanted, Plan | CannotDo]]:
        async def plan(one: Wanted) -> Plan | CannotDo:
            try:
                return await self._hands.plan(one.action.action, one.alert.entity, hours=one.action.hours, slot=slot)
            except CannotDo as error:
                return error

        return list(zip(wanted, await asyncio.gather(*map(plan, wanted)), strict=True))

    def _intend(
        self, book: ResponseBook, wanted: Wanted, plan: Plan | CannotDo, now: float
    ) -> tuple[Response, Plan, float] | None:
        """Keep evidence and intent. None: nothing is to be done, since it cannot, or since this is a dry run."""
        action, alert, dry = wanted.action, wanted.alert, self._settings.mode is Mode.DRY_RUN
        final = action.action is Act.PAUSE_SOURCE  # what is not asked cannot be seen to be well
        response = Response(
            id=token_hex(4),
            name=action.name,
            act=action.action,
            mode=self._settings.mode,
            rule=alert.rule,
            alert_id=alert.id,
            subject=alert.entity,
            site=alert.site,
            phase=Phase.DRY_RUN if dry else Phase.PLANNED,
            planned=now,
            plan=plan.words if isinstance(plan, Plan) else action.action.replace("_", " "),
            judge_at=None if final else now + 60 * action.judge_after_minutes,
            keep_s=self._rules[alert.rule].keep_s if alert.rule in self._rules else 0,
        )
        try:
            if isinstance(plan, CannotDo):
                raise plan
            book.save_evidence(response.id, self._evidence(response, alert, plan, now))
            if dry:
                book.note(response, "dry_run", now)
                return None
            book.note(response, "planned", now)
            self._record(response, AuditKind.RESPONSE_PLANNED)
        except (CannotDo, NeedsHuman) as error:
            if dry:
                told = f"it could not be done: {error}"
                book.note(msgspec.structs.replace(response, ended=now, told=told), "dry_run", now)
            else:
                self._end(book, response, Phase.FAILED, f"not done: {error}", now)
            return None
        assert isinstance(plan, Plan)  # noqa: S101 - a CannotDo was raised above
        return response, plan, action.hours

    async def _do(self, begun: Sequence[tuple[Response, Plan, float]], now: float) -> list[str | CannotDo]:
        async def act(response: Response, plan: Plan, hours: float) -> str | CannotDo:
            try:
                return await self._hands.do(response, plan, hours=hours, now=now)
            except CannotDo as error:
                return error

        return list(await asyncio.gather(*(act(*one) for one in begun)))

    def _end(self, book: ResponseBook, response: Response, phase: Phase, told: str, now: float) -> None:
        ended = msgspec.structs.replace(response, phase=phase, told=told, ended=now)
        book.note(ended, str(phase), now)
        level = logging.WARNING if ended.wants_human else logging.INFO
        _log.log(level, "response %s: %s", ended.id, ended.in_words)
        try:
            self._record(ended, _AUDITED.get(phase, AuditKind.RESPONSE_JUDGED))
        except NeedsHuman as error:
            _log.error("response %s is not in the audit trail: %s", ended.id, error)

    def _record(self, response: Response, kind: AuditKind) -> None:
        detail = {
            "response": response.name,
            "act": str(response.act),
            "subject": response.subject,
            "rule": response.rule,
            "plan": response.plan,
            "phase": str(response.phase),
            "told": response.told,
        }
        self._trail.record(kind, f"response {response.id}", actor=ACTOR, detail=detail)

    def _fresh(self, miners: set[str], now: float) -> tuple[frozenset[str], str | None]:
        """Those of ``miners`` whose newest reading is fresh and was answered; and why that cannot be told."""
        if not miners:
            return frozenset(), None
        longest_s = max(self._stale_s(miner) for miner in miners)
        try:
            rows = self._read().newest(
                MINER_TELEMETRY, int(now - longest_s), before=credible(now), where={"miner_id": sorted(miners)}
            )
        except (TryAgain, NeedsHuman) as error:
            self.close()
            return frozenset(), str(error)
        fresh = set()
        for row in rows.select(["miner_id", "time", "reachable"]).to_pylist():
            if row["reachable"] and now - row["time"].timestamp() <= self._stale_s(row["miner_id"]):
                fresh.add(row["miner_id"])
        return frozenset(fresh), None

    def _stale_s(self, miner_id: str) -> float:
        return STALE_INTERVALS * self._miners[miner_id].telemetry_bounds().slowest_s

    def _evidence(self, response: Response, alert: Alert, plan: Plan, now: float) -> dict[str, Any]:
        """What is known before the act. Readings are of the last hour; why there are none, where there are none."""
        found: dict[str, Any] = {"response": response, "alert": alert, "settings_before": plan.settings_before}
        if response.act not in OF_MINERS:
            return found
        where = {"miner_id": response.subject}
        since, before = int(now) - _EVIDENCE_S, credible(now)
        try:
            store = self._read()
            found["readings"] = store.read(MINER_TELEMETRY, Tier.RAW, since, int(now) + 1, where=where).to_pylist()
            for measurement in (MINER_BOARD, MINER_FAN):
                found[measurement.name] = store.newest(measurement, since, before=before, where=where).to_pylist()
            configured = store.newest(MINER_CONFIGURATION, int(now) - _CONFIGURATION_S, before=before, where=where)
            found["configuration"] = configured.to_pylist()
        except (TryAgain, NeedsHuman) as error:
            self.close()
            raise CannotDo(f"there is no evidence: the store does not answer: {error}") from error
        return found

    def _read(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _detected(self, miner_id: str) -> str | None:
        for path in sorted(self._state.glob(f"*{SUFFIX}")):
            memory = MemoryFile(self._state, path.name.removesuffix(SUFFIX)).memories().get(miner_id)
            if memory is not None:
                return memory.detected
        return None

    def _elsewhere(self, act: Act, subject: str, now: float) -> str | None:
        """The host that would have to be told of ``act``, where it is not this one."""
        lanes = {POOLS, MARKET} if act is Act.PAUSE_SOURCE else {lane_of(None), lane_of(self._miners[subject].site)}
        return asking(lanes, self._state, self._open_store, host=self._host, now=now).elsewhere

    def _write_down(self, book: ResponseBook) -> None:
        """Bring what happened into the store; what it does not take now waits in the book."""
        waiting = book.unstored()
        if not waiting:
            return
        try:
            self._read().write([frame_of([happened for _, happened in waiting])])
        except (TryAgain, NeedsHuman) as error:
            self.close()
            _log.warning("%d events of responses wait for the store: %s", len(waiting), error)
            return
        book.note_stored([number for number, _ in waiting])


def _nowhere(_act: Act, _subject: str, _now: float) -> str | None:
    return None


def frame_of(happened: Sequence[Happened]) -> Frame:
    """What happened as rows of measurement response_event."""
    responses = [one.response for one in happened]
    return build_frame(
        RESPONSE_EVENT.name,
        [int(one.at) for one in happened],
        {
            "response": [one.name for one in responses],
            "subject": [one.subject for one in responses],
            "event": [one.event for one in happened],
            "response_id": [one.id for one in responses],
            "act": [str(one.act) for one in responses],
            "rule": [one.rule for one in responses],
            "alert_id": [one.alert_id for one in responses],
            "site": [one.site or None for one in responses],
            "plan": [one.plan for one in responses],
            "message": [one.told or None for one in responses],
            "person": [one.person or None for one in happened],
        },
    )
