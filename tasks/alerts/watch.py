"""The watch: look, judge, write down, tell. Everything here may be killed at any point and done again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from storage.declaration.event import ALERT_EVENT
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.alerts.book import Book, Look
from tasks.alerts.composite import Evaluation, Memory, in_order
from tasks.alerts.facts import Facts, gather
from tasks.alerts.handover import hand_over, payload, sign_of_life
from tasks.alerts.incidents import keeps_incidents
from tasks.alerts.life_cycle import Alert, Change, advance
from tasks.alerts.muting import muted
from tasks.alerts.rule import About, Found, Rule
from tasks.alerts.settings import AlertSettings
from tasks.alerts.telling import Due, Message, Reason, Told, due, worded
from tasks.miners.settings import MinerSettings
from tasks.overrides.override import NOTHING_BY_HAND, Overrides
from tasks.overrides.told import ToldOverrides

Send = Callable[[SecretStr, Message], str | None]

_FIRST_WAIT_S, _LONGEST_WAIT_S, _TRIED_FOR_S = 60.0, 3_600.0, 86_400.0
_HOUR_S = 3_600.0
ALERTMANAGER, DEAD_MAN = "(alertmanager)", "(sign of life)"
"""Names under which the book keeps how these two stand; no channel can be called so."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookReport:
    """What one look did: alerts that fire, those of them that are muted, changes, messages posted, sent and failed."""

    firing: int
    muted: int
    changes: int
    posted: int
    sent: int
    failed: int
    not_asked: int

    def in_words(self) -> str:
        """The look in one line."""
        asked = f", {self.not_asked} rules not asked" if self.not_asked else ""
        failed = f", {self.failed} not taken" if self.failed else ""
        return (
            f"{self.firing} firing ({self.muted} muted), {self.changes} changes, "
            f"{self.posted} messages made, {self.sent} sent{failed}{asked}"
        )


class Watch:
    """Looks at everything this host can see. ``look`` blocks; one at a time.

    Args:
        open_store: opens the store that is read; again after it failed.
        data_directory: of this host.
        miners, pool_ids, closed_pool_ids: of the configuration.
        settings: of the configuration.
        send: sends one message; tasks.alerts.channels.send but in tests.
        several_hosts: miners are polled by other hosts too, which tell in the store what is set by hand there.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        data_directory: Path,
        *,
        miners: Sequence[MinerSettings],
        pool_ids: frozenset[str],
        closed_pool_ids: frozenset[str] = frozenset(),
        settings: AlertSettings,
        send: Send,
        several_hosts: bool = False,
    ) -> None:
        self._open_store = open_store
        self._data_directory = data_directory
        self._gather = partial(
            gather,
            data_directory=data_directory,
            miners=tuple(miners),
            pool_ids=pool_ids,
            closed_pool_ids=closed_pool_ids,
            told=ToldOverrides() if several_hosts else None,
        )
        self._settings = settings
        self._send = send
        self._rules = settings.rules_in_force()
        self._store: Store | None = None

    def look(self, now: float) -> LookReport:
        """One look at ``now`` (Unix seconds).

        Raises:
            NeedsHuman: the book of alerts cannot be opened.
        """
        book = Book.open(self._data_directory / "state")
        try:
            facts = self._facts(now)
            evaluation, not_asked = ask(self._rules, facts, book.composites())
            found = evaluation.found
            alerts, quiet, changes, posted = judge(
                book,
                self._rules,
                self._settings,
                found=found,
                not_asked=not_asked,
                now=now,
                by_hand=facts.by_hand,
                composites=evaluation.after,
            )
            sent, failed = deliver(book, self._settings, self._send, now)
            self._hand_over(book, alerts, quiet, now)
            self._write_down(book)
        finally:
            book.close()
        firing = sum(alert.firing for alert in alerts.values())
        return LookReport(firing, len(quiet), changes, posted, sent, failed, len(not_asked))

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _facts(self, now: float) -> Facts:
        try:
            if self._store is None:
                self._store = self._open_store()
            return self._gather(self._store, now=now)
        except (TryAgain, NeedsHuman) as error:
            _log.warning("the store does not answer: %s", error)
            self.close()
            return self._gather(None, now=now, store_trouble=str(error))

    def _hand_over(self, book: Book, alerts: Mapping[str, Alert], quiet: Mapping[str, str], now: float) -> None:
        settings = self._settings
        if settings.alertmanager_url is not None:
            given = payload(alerts.values(), quiet, self._rules, now=now, usual_s=settings.check_interval_seconds)
            # an empty list as well: it tells whether the way there is open
            book.note_channel(ALERTMANAGER, now, hand_over(str(settings.alertmanager_url), given))
        if settings.dead_man_url is not None:
            book.note_channel(DEAD_MAN, now, sign_of_life(settings.dead_man_url))

    def _write_down(self, book: Book) -> None:
        """Bring history into the store; what it does not take now waits in the book."""
        waiting = book.unstored()
        if not waiting or self._store is None:
            return
        try:
            self._store.write([frame_of([change for _, change in waiting])])
        except TryAgain as error:
            _log.warning("%d changes of alerts wait for the store: %s", len(waiting), error)
            return
        with book.transaction():
            book.note_stored([number for number, _ in waiting])


def ask(rules: Mapping[str, Rule], facts: Facts, before: Memory | None = None) -> tuple[Evaluation, dict[str, str]]:
    """Ask every rule, composites after what they are made of; what they found, and why some could not be asked.

    ``before``: what the parts of composites said at the look before. Without a store only the rules are asked that look
    at files of this host. A rule that fails is a fault of Lodeline; it is logged and shown, and does not blind the
    others.
    """
    evaluation = Evaluation(facts, rules, {}, before or {})
    not_asked: dict[str, str] = {}
    composites = {name: rule.composite for name, rule in rules.items() if rule.composite is not None}
    for name in [*(name for name in rules if name not in composites), *in_order(composites)]:
        rule = rules[name]
        if facts.store_trouble is not None and rule.needs_store:
            not_asked[name] = "the store does not answer"
            continue
        try:
            told = evaluation.ask(rule) if rule.composite is not None else rule.find(facts, rule.limit)
            evaluation.found[name] = without_what_is_by_hand(told, rule, facts)
        except Exception as error:  # noqa: BLE001 - logged whole and shown; the other rules must not go blind
            _log.exception("rule %s fails", name)
            not_asked[name] = f"{type(error).__name__}: {error}"
    for name in composites.keys() & not_asked.keys():  # what its parts said is not forgotten
        evaluation.after[name] = evaluation.before.get(name, [])
    return evaluation, not_asked


def without_what_is_by_hand(found: Found, rule: Rule, facts: Facts) -> Found:
    """``found`` without miners and sources that an override is about: they are not judged, so that nothing new fires,
    and what fires stays as it is."""
    by_hand = facts.by_hand.miners_by_hand() if rule.about is About.MINER else frozenset()
    if rule.about in (About.POOL, About.MARKET):
        by_hand = facts.by_hand.sources_by_hand()
    if not by_hand:
        return found
    judged = tuple(one for one in found.findings if not {one.entity, one.within} & by_hand)
    left_out = {one.entity for one in found.findings} - {one.entity for one in judged}
    return Found(judged, found.unknown | by_hand | left_out)


def judge(
    book: Book,
    rules: Mapping[str, Rule],
    settings: AlertSettings,
    *,
    found: Mapping[str, Found],
    not_asked: Mapping[str, str],
    now: float,
    by_hand: Overrides = NOTHING_BY_HAND,
    composites: Memory | None = None,
) -> tuple[dict[str, Alert], dict[str, str], int, int]:
    """Take in what was found, in one transaction: alerts after it, why some are muted, changes, messages posted."""
    with book.transaction():
        last = book.last_look()
        alerts, changes = advance(
            book.alerts(),
            found,
            rules,
            now=now,
            last_look=None if last is None else last.at,
            usual_s=settings.check_interval_seconds,
        )
        quiet = muted(
            alerts, rules, silences=book.silences(), maintenance=settings.maintenance, by_hand=by_hand, now=now
        )
        posted = 0
        for channel in settings.channels:
            told = book.told(channel.name)
            wanted = due(channel, settings, alerts.values(), quiet, told, now=now)
            left = channel.messages_per_hour - book.posted_since(channel.name, now - _HOUR_S)
            messages = worded(channel.name, wanted, rules, at_most=left, apart=keeps_incidents(channel.url))
            if messages:
                in_them = {alert for message in messages for alert in message.alerts}
                book.post(messages, now)
                book.note_told(_told(channel.name, [one for one in wanted if one.alert.id in in_them], now))
                posted += len(messages)
        book.replace_alerts(alerts.values())
        book.add_changes(changes)
        book.replace_composites(composites or {})
        book.note_look(Look(at=now, muted=quiet, not_asked=dict(not_asked)))
    return alerts, quiet, len(changes), posted


def _told(channel: str, wanted: Sequence[Due], now: float) -> list[Told]:
    return [
        Told(
            alert=one.alert.id,
            channel=channel,
            fired=one.alert.fired or now,
            at=now,
            level=one.alert.level,
            flapping=one.alert.flapping,
            over=one.reason is Reason.OVER,
        )
        for one in wanted
    ]


def deliver(book: Book, settings: AlertSettings, send: Send, now: float) -> tuple[int, int]:
    """Send what is due, oldest first: how many were sent and how many tries failed.

    A channel that fails is not tried again in the same look; it is tried for a day, with growing waits. A message
    that was sent just before a kill is sent again: twice is better than never.
    """
    channels = {channel.name: channel for channel in settings.channels}
    sent, failed = 0, set[str]()
    for outgoing in book.outgoing(now):
        name = outgoing.message.channel
        channel = channels.get(name)
        if channel is None:
            book.note_failed(outgoing, now, "the channel is not configured any more", next_try=None)
            continue
        if name in failed:
            continue
        try:
            trouble = send(channel.url, outgoing.message)
        except NeedsHuman as error:
            trouble = str(error)
        if trouble is None:
            book.note_sent(outgoing, now)
            sent += 1
            continue
        failed.add(name)
        wait_s = min(_FIRST_WAIT_S * 2**outgoing.tries, _LONGEST_WAIT_S)
        last = now - outgoing.made >= _TRIED_FOR_S
        _log.warning("channel %s does not take message %d: %s", name, outgoing.number, trouble)
        book.note_failed(outgoing, now, trouble, next_try=None if last else now + wait_s)
    return sent, len(failed)


def frame_of(changes: Sequence[Change]) -> Frame:
    """Changes as rows of measurement alert_event."""
    return build_frame(
        ALERT_EVENT.name,
        [int(change.at) for change in changes],
        {
            "rule": [change.alert.rule for change in changes],
            "subject": [change.alert.subject for change in changes],
            "event": [str(change.event) for change in changes],
            "alert_id": [change.alert.id for change in changes],
            "level": [str(change.alert.level) for change in changes],
            "entity": [change.alert.entity for change in changes],
            "site": [change.alert.site or None for change in changes],
            "message": [change.alert.message for change in changes],
            "value": [change.alert.value for change in changes],
            "person": [change.by or None for change in changes],
        },
    )
