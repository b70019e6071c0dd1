"""One response to an alert, and where it is in its life."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Act(StrEnum):
    """What can be done."""

    RESTART_MINING = "restart_mining"
    CHANGE_PRESET = "change_preset"
    REDETECT = "redetect"
    PAUSE_SOURCE = "pause_source"
    SHED_LOW_PRIORITY = "shed_low_priority"


AT_MINERS = frozenset({Act.RESTART_MINING, Act.CHANGE_PRESET})
"""Acts that a miner is told; the others are overrides of this host (tasks/overrides)."""

OF_MINERS = AT_MINERS | {Act.REDETECT}
"""Acts on a miner, in either way."""


class Mode(StrEnum):
    """Whether anything is done."""

    OFF = "off"
    DRY_RUN = "dry_run"
    ON = "on"


class Phase(StrEnum):
    """Where a response is in its life.

    ``planned``: the intent is on the disk, the act may have begun. ``unclear``: Lodeline was killed between intent and
    outcome, so nobody knows whether it was done; it is not done again, and a human is told.
    """

    DRY_RUN = "dry_run"
    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    HELPED = "helped"
    NO_HELP = "no_help"
    NOT_KNOWN = "not_known"
    UNCLEAR = "unclear"


WANTS_HUMAN = frozenset({Phase.FAILED, Phase.NO_HELP, Phase.NOT_KNOWN, Phase.UNCLEAR})
"""Phases that somebody is told of, until he has settled them."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One response. Times are Unix seconds.

    ``name`` is the configuration's for it, ``subject`` the miner, source or host that it is done to. ``plan`` says what
    is to be done, ``told`` what came of it. ``judge_at``: when it is looked at whether it helped, None where that
    cannot be told. ``keep_s`` is the time after which its rule counts as over.
    """

    id: str
    name: str
    act: Act
    mode: Mode
    rule: str
    alert_id: str
    subject: str
    site: str
    phase: Phase
    planned: float
    plan: str
    told: str = ""
    ended: float | None = None
    judge_at: float | None = None
    keep_s: int = 0
    settled_by: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nobody knows yet what came of it."""
        return self.phase is Phase.PLANNED or (self.phase is Phase.DONE and self.judge_at is not None)

    @property
    def wants_human(self) -> bool:
        """Whether somebody has to look at it."""
        return self.phase in WANTS_HUMAN and not self.settled_by

    @property
    def in_words(self) -> str:
        """It in one line, without its id and times."""
        outcome = f": {self.told}" if self.told else ""
        return f"{self.name} for {self.rule} of {self.subject}: {self.plan}: {self.phase.replace('_', ' ')}{outcome}"


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a response, as it was right after it."""

    event: str
    at: float
    response: Response
    person: str = ""
