"""What topics and procedures are about, told by their names: both dialects name them after it."""

from __future__ import annotations

from enum import StrEnum

KEY = "{api_key}"
"""Stands for the account's key in configured topics and arguments."""


class Subject(StrEnum):
    """What a payload is about."""

    PROFITABILITY = "profitability"
    WORKERS = "workers"
    BALANCES = "balances"
    GENERAL = "general"


_WORDS = {
    "profitab": Subject.PROFITABILITY,
    "worker": Subject.WORKERS,
    "miner": Subject.WORKERS,
    "balance": Subject.BALANCES,
    "general": Subject.GENERAL,
}


def subject_of(name: str) -> Subject:
    """The subject of the topic or procedure ``name``.

    Raises:
        ValueError: nothing in the name tells it.
    """
    low = name.replace(KEY, "").lower()
    for word, subject in _WORDS.items():
        if word in low:
            return subject
    raise ValueError(f"a name that is about nothing that is collected; one of {', '.join(_WORDS)} must be in it")
