"""Words that commands about Abacus.AI share: a difference, a moment, a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.abacus.refresh_policies import PolicyState
    from tasks.abacus.registration import Difference


def said(difference: Difference) -> str:
    """A difference in one line."""
    declared, found = (" ".join(text.split()) for text in (difference.declared, difference.found))
    return f"{difference.what}: declared {declared[:120]!r}, at Abacus.AI {found[:120]!r}"


def utc(seconds: int) -> str:
    """Unix seconds as people read them."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def policy_lines(states: Sequence[PolicyState]) -> Iterator[str]:
    """Each policy and what is otherwise there than declared."""
    for state in states:
        is_there = state.next_run is not None or state.is_paused
        following = "paused" if state.is_paused else f"next run {state.next_run}" if is_there else "not there"
        last = f", last run {state.last_run}" if state.last_run else ""
        yield f"policy {state.name}: {state.cron} UTC, {following}{last}"
        for difference in state.differences:
            yield f"  {said(difference)}"
