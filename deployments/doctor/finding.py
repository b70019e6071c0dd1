"""What an examination tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How something is."""

    WELL = "well"
    WRONG = "wrong"
    ODD = "odd"
    """Works, and an operator should know."""
    SKIPPED = "skipped"
    """Not looked at, since it is not configured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``what`` it is, how it is, what was found, and what to do."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def well(what: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding(what, Verdict.WELL, found)


def wrong(what: str, found: str, remedy: str) -> Finding:
    """It is not, and data is late or lost until it is."""
    return Finding(what, Verdict.WRONG, found, remedy)


def odd(what: str, found: str, remedy: str) -> Finding:
    """It works, and an operator should know."""
    return Finding(what, Verdict.ODD, found, remedy)


def skipped(what: str, why: str) -> Finding:
    """It is not configured."""
    return Finding(what, Verdict.SKIPPED, why)
