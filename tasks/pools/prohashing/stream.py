"""The stream: connected, subscribed, filled by a snapshot, and again after every loss."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from random import Random
from typing import TYPE_CHECKING

import msgspec

from storage.frame import Frame, Value, build_frame
from tasks.miners.redaction import Redaction
from tasks.pools.judging import judged_frames
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.feed import Feed
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.subject import KEY, Subject, subject_of
from tasks.pools.prohashing.timing import Timing
from tasks.resilience.backoff import Backoff
from tasks.sources.source import Push

if TYPE_CHECKING:
    from tasks.pools.prohashing.session import Lost, Session

_log = logging.getLogger(__name__)


class ProhashingStream:
    """See :class:`tasks.sources.source.Stream`. ``link`` tells others how it stands."""

    def __init__(
        self,
        settings: ProhashingSettings,
        link: Link,
        guard: PriceGuard,
        *,
        timing: Timing | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = POOL_ID
        self._wamp = settings.wamp
        self._told_whole = frozenset(subject_of(one.procedure) for one in settings.wamp.snapshots)
        self._key = settings.api_key.get_secret_value()
        self._redaction = Redaction([settings.api_key, settings.wamp.auth_secret])
        self._link = link
        self._guard = guard
        self._timing = timing or Timing()
        self._random = random or Random()
        self._clock = clock
        self._feed = Feed(self.name, settings.account, self._redaction, link)
        self._changed = asyncio.Event()
        self._unsent: Sequence[Frame] = ()

    async def run(self, push: Push) -> None:
        """See :class:`tasks.sources.source.Stream`."""
        self._changed.set()  # a run before this one may have left something
        self._link.begun()
        flushing = asyncio.create_task(self._flush(push), name=f"flush {self.name}")
        connecting = asyncio.create_task(self._stay_connected(), name=f"connect {self.name}")
        try:
            done, _ = await asyncio.wait({flushing, connecting}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (connecting, flushing):
                task.cancel()
            await asyncio.gather(connecting, flushing, return_exceptions=True)
            self._link.leave()
            await self._send(push)

    async def _stay_connected(self) -> None:
        from tasks.pools.prohashing.session import Lost, Rejected  # 0.3 s and 43 MB that only a run needs

        timing = self._timing
        backoff = Backoff(timing.first_wait_s, timing.longest_wait_s)
        loop = asyncio.get_running_loop()
        losses = 0
        while True:
            began = loop.time()
            try:
                await self._one_session()
            except Lost as loss:
                proven = self._link.live and loop.time() - began >= timing.proven_s
                losses = 1 if proven else losses + 1
                rejected = isinstance(loss, Rejected)
                wait = timing.rejected_s if rejected else backoff.wait_s(losses, self._random)
                self._tell(loss, wait, "it needs somebody to act" if rejected else "HTTP steps in")
            except Exception as error:
                self._link.lost(Lost.kind, type(error).__name__)
                raise
            await asyncio.sleep(wait)

    def _tell(self, loss: Lost, wait: float, what: str) -> None:
        reason = self._redaction.text(str(loss).encode("utf-8", "replace"))
        self._link.lost(loss.kind, f"{self._wamp.url}: {reason}")
        _log.warning("%s: WAMP (%s): %s: %s; again in %.3g s, %s", self.name, loss.kind, self._wamp.url, reason, wait,
                     what)  # fmt: skip

    async def _one_session(self) -> None:
        """From connecting to the loss. Always raises Lost, unless cancelled."""
        from tasks.pools.prohashing.session import joined

        async with joined(self._wamp, self._timing) as session:
            self._feed.hold()
            try:
                await self._subscribe(session)
                await self._fill(session, self._told_whole)
            finally:
                self._feed.release()
                self._changed.set()
            self._link.joined()
            _log.info("%s: WAMP: joined %s at %s", self.name, self._wamp.realm, self._wamp.url)
            await self._watch(session)

    async def _subscribe(self, session: Session) -> None:
        """Subscribe to the topics. One that the router does not give is done without; raises Lost if it gives none."""
        from tasks.pools.prohashing.session import CallFailed, Lost, Rejected, loss_of

        failed: list[CallFailed] = []
        for topic in self._wamp.subscriptions:
            try:
                await session.subscribe(self._in_full(topic), self._hearing(subject_of(topic)))
            except CallFailed as error:
                failed.append(error)
                _log.warning("%s: WAMP: no subscription to %s: %s", self.name, topic, error)
            except Exception as error:
                raise loss_of(error) from error
        if failed and len(failed) == len(self._wamp.subscriptions):
            refused = all(one.refused for one in failed)
            raise (Rejected if refused else Lost)(f"no subscription: {failed[0]}")

    async def _watch(self, session: Session) -> None:
        """Return never; raise when the session is over, or silent though it should not be."""
        from tasks.pools.prohashing.session import TimedOut

        timing, loop = self._timing, asyncio.get_running_loop()
        filled_at = loop.time()
        while True:
            done, _ = await asyncio.wait({session.over}, timeout=min(timing.quiet_s, timing.snapshot_s) / 4)
            if done:
                raise session.over.result()
            old = loop.time() - filled_at >= timing.snapshot_s
            wanted = [one for one in self._told_whole if old or self._link.silent_s(one) >= timing.quiet_s]
            if wanted:
                filled_at = loop.time() if old else filled_at
                self._feed.hold(wanted)  # what comes of them meanwhile is newer than the snapshot
                try:
                    await self._fill(session, wanted)
                finally:
                    self._feed.release()
                    self._changed.set()
            patience_s = (2 if self._told_whole else 1) * timing.quiet_s  # snapshots are asked for in between
            if self._link.silent_s() >= patience_s:
                raise TimedOut(f"it answers pings, but nothing came for {patience_s:g} s")

    async def _fill(self, session: Session, subjects: Collection[Subject]) -> None:
        """Take snapshots of ``subjects``. One that the router cannot give is done without."""
        from tasks.pools.prohashing.session import CallFailed

        for snapshot in self._wamp.snapshots:
            subject = subject_of(snapshot.procedure)
            if subject not in subjects:
                continue
            try:
                payload = await session.call(snapshot.procedure, [self._in_full(one) for one in snapshot.arguments])
            except CallFailed as error:
                _log.warning("%s: WAMP: no snapshot by %s: %s", self.name, snapshot.procedure, error)
            else:
                self._feed.replace(subject, payload)

    def _hearing(self, subject: Subject) -> Callable[[object], None]:
        def hear(payload: object) -> None:  # no coroutine: those would pile up, one for each event
            self._feed.hear(subject, payload)
            self._changed.set()

        return hear

    def _in_full(self, text: str) -> str:
        return text.replace(KEY, self._key)

    async def _flush(self, push: Push) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._timing.flush_s)
            self._changed.clear()
            await self._send(push)

    async def _send(self, push: Push) -> None:
        if not self._unsent and self._feed.pending:
            self._unsent = self._frames()
        if self._unsent:
            await push(self._unsent)
            self._unsent = ()

    def _frames(self) -> list[Frame]:
        now = self._clock()
        records, texts = self._feed.take(int(now))
        judged, notices = self._guard.judge(records.profitability)
        for notice in notices:
            _log.warning("%s: WAMP: %s", self.name, notice)
        return [
            *judged_frames(msgspec.structs.replace(records, profitability=tuple(judged))),
            *_payload_frames(texts, now, self._wamp.url),
        ]


def _payload_frames(texts: dict[Subject, str], now: float, address: str) -> list[Frame]:
    """Rows of ``source_payload``: what records of one second were made from."""
    if not texts:
        return []
    bodies = list(texts.values())
    columns: dict[str, list[Value]] = {
        "source": [POOL_ID] * len(texts),
        "request": [f"wamp {subject}" for subject in texts],
        "page": ["1"] * len(texts),
        "body": list(bodies),
        "sha256": [hashlib.sha256(body.encode()).hexdigest() for body in bodies],
        "size": [len(body.encode()) for body in bodies],
        "address": [address] * len(texts),
        "version": [version("lodeline")] * len(texts),
        "received_ms": [int(now * 1000)] * len(texts),
    }
    return [build_frame("source_payload", [int(now)] * len(texts), columns)]
