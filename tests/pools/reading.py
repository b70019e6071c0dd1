"""What a source gave, as rows, and odd values to put where a number belongs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tasks.sources.source import Gathered


class NoPace:
    """A pace that nobody waits for."""

    async def wait(self) -> None:
        """Return at once."""

    def close_for(self, seconds: float) -> None:
        """Stay open."""


def rows(gathered: Gathered, measurement: str) -> list[dict[str, Any]]:
    """The rows of ``measurement`` with their times."""
    return [
        {"time": frame.times[row], **{name: values[row] for name, values in frame.columns.items()}}
        for frame in gathered.frames
        if frame.measurement == measurement
        for row in range(len(frame))
    ]


def kept(gathered: Gathered) -> str:
    """All text that a request leaves behind: answers, addresses, notices, rows."""
    return repr([(answer.body, answer.address) for answer in gathered.answers]) + repr(
        [gathered.notices, [frame.columns for frame in gathered.frames]]
    )


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)
"""Anything that JSON can hold, and more."""
