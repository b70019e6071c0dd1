"""Work that goes on over there, asked for a while by one run and gone on with by the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tasks.abacus.connection import Abacus, Refusal

POLLS = 12
"""How often one run asks; the next run goes on asking."""

POLL_S = 5.0


def watched(
    abacus: Abacus,
    what: str,
    subject: str,
    ask: Callable[[Any], Any],
    *,
    going_on: frozenset[str],
    failed: Callable[[str], NoReturn],
) -> Any:
    """What ``ask`` tells of ``subject``: that it is COMPLETE, or one of ``going_on`` still after ``POLLS`` times.

    ``what`` names the question in errors. ``failed`` is told what became of a subject that is gone or ended otherwise.

    Raises:
        TryAgain, NeedsHuman, Refusal: the service does not answer, or what ``failed`` raises.
    """
    try:
        for poll in range(POLLS):
            if poll:
                abacus.wait(POLL_S)
            found = abacus.told(what, ask)
            if found.status not in going_on:
                break
    except Refusal as refusal:
        if not refusal.is_missing:
            raise
        failed(f"{subject} is gone from the service")
    if found.status != "COMPLETE" and found.status not in going_on:
        failed(f"{subject} ended as {found.status}: {found.error or 'no reason told'}")
    return found
