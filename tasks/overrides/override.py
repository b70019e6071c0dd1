"""One override, and all of them that hold at an instant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from tasks.quantity import clock


class Kind(StrEnum):
    """What is done for a while."""

    PAUSE = "pause"
    FORCE = "force"
    REDETECT = "redetect"
    SHED = "shed"


class Target(StrEnum):
    """What it is done to."""

    MINER = "miner"
    SOURCE = "source"
    HOST = "host"


TARGETS: dict[Kind, tuple[Target, ...]] = {
    Kind.PAUSE: (Target.MINER, Target.SOURCE),
    Kind.FORCE: (Target.MINER,),
    Kind.REDETECT: (Target.MINER,),
    Kind.SHED: (Target.HOST,),
}
"""To what each kind can be done."""

STATES = ("maintenance", "stopped", "failed")
"""States that a miner can be forced to: somebody works on it, it is off on purpose, it is known to be broken. None of
them claims that it mines."""
STATES_ON_PURPOSE = STATES[:2]
"""Those that it is meant to be in."""


_WORDS = re.compile(
    rf"(?P<what>paused|{'|'.join(STATES)}) by hand until (?P<until>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) UTC "
    r"by (?P<by>.*?): (?P<why>.*)",
    re.DOTALL,
)


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One override. Times are Unix seconds; it holds from ``made`` until before ``until``.

    ``subject`` is the id of the miner or source, or the name of the host. ``state`` is what a miner is forced to, empty
    for other kinds. ``by`` is a person, or the response that made it.
    """

    id: str
    kind: Kind
    target: Target
    subject: str
    made: float
    until: float
    by: str
    why: str
    state: str = ""

    def holds(self, now: float) -> bool:
        """Whether it holds at ``now``. A clock that was set back does not end it."""
        return now < self.until

    @property
    def what(self) -> str:
        """What is so because of it: ``paused by hand``, ``maintenance by hand``."""
        words = {Kind.PAUSE: "paused", Kind.FORCE: self.state, Kind.REDETECT: "detected anew", Kind.SHED: "shedding"}
        return f"{words[self.kind]} by hand"

    def in_words(self) -> str:
        """It in one line, without its subject."""
        return f"{self.what} until {clock(self.until)} by {self.by}: {self.why}"

    @classmethod
    def from_words(cls, words: str, *, miner_id: str, made: float) -> Override | None:
        """The pause or forced state of a miner that :meth:`in_words` told; None where it is no such text."""
        told = _WORDS.fullmatch(words)
        if told is None:
            return None
        paused = told["what"] == "paused"
        return cls(
            id=f"told {miner_id}",
            kind=Kind.PAUSE if paused else Kind.FORCE,
            target=Target.MINER,
            subject=miner_id,
            made=made,
            until=datetime.fromisoformat(told["until"]).replace(tzinfo=UTC).timestamp(),
            by=told["by"],
            why=told["why"],
            state="" if paused else told["what"],
        )


@dataclass(frozen=True, slots=True)
class Overrides:
    """Those that hold now."""

    all: tuple[Override, ...] = ()

    @classmethod
    def at(cls, overrides: Iterable[Override], now: float) -> Overrides:
        """Those of ``overrides`` that hold at ``now``."""
        return cls(tuple(override for override in overrides if override.holds(now)))

    def of_miner(self, miner_id: str) -> Override | None:
        """What holds of a miner: that it is paused before a forced state; the newest of several."""
        return self._newest(Target.MINER, miner_id, Kind.PAUSE) or self._newest(Target.MINER, miner_id, Kind.FORCE)

    def paused_source(self, source: str) -> Override | None:
        """The pause of a source."""
        return self._newest(Target.SOURCE, source, Kind.PAUSE)

    def redetections(self) -> list[Override]:
        """Miners whose driver is to be found out anew, each order once."""
        return [override for override in self.all if override.kind is Kind.REDETECT]

    def shed(self, host: str) -> Override | None:
        """Why ``host`` leaves out work of low priority."""
        return self._newest(Target.HOST, host, Kind.SHED)

    def miners_paused(self) -> frozenset[str]:
        """Miners that are not to be asked."""
        return frozenset(one.subject for one in self.all if one.target is Target.MINER and one.kind is Kind.PAUSE)

    def miners_by_hand(self) -> frozenset[str]:
        """Miners that are paused or forced to a state: what they say is no news."""
        kinds = (Kind.PAUSE, Kind.FORCE)
        return frozenset(one.subject for one in self.all if one.target is Target.MINER and one.kind in kinds)

    def miners_off(self) -> frozenset[str]:
        """Miners that are off on purpose: paused, in maintenance or stopped. One that is said to have failed is not."""
        holding = {name: self.of_miner(name) for name in self.miners_by_hand()}
        return frozenset(
            name
            for name, one in holding.items()
            if one is not None and (one.kind is Kind.PAUSE or one.state in STATES_ON_PURPOSE)
        )

    def sources_by_hand(self) -> frozenset[str]:
        """Sources that are paused."""
        return frozenset(one.subject for one in self.all if one.target is Target.SOURCE and one.kind is Kind.PAUSE)

    def _newest(self, target: Target, subject: str, kind: Kind) -> Override | None:
        found = [one for one in self.all if (one.target, one.subject, one.kind) == (target, subject, kind)]
        return max(found, key=lambda one: one.made, default=None)


NOTHING_BY_HAND = Overrides()
"""No override."""
