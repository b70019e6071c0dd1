"""How fast each source may be asked from here, whether this host is the only one that asks or one of several."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tasks.sources.pace import HostPace, SourcePace
from tasks.sources.shared_pace import AskPlace, SharedPace


class Rate(NamedTuple):
    """At most ``per_minute`` requests a minute, ``burst`` of them at once."""

    per_minute: float
    burst: int = 1


def limit_of(source: str) -> str:
    """Name of the limit by which hosts share the rate of ``source``."""
    return f"lodeline-{source}"


class Paces:
    """The paces of this host, kept in ``folder``.

    With ``ask`` it is one of ``hosts`` that share each source's rate; see tasks.sources.shared_pace.SharedPace.
    """

    def __init__(self, folder: Path, *, hosts: int = 1, ask: AskPlace | None = None) -> None:
        if hosts < 1:
            raise ValueError(f"hosts must be positive, got {hosts}")
        self.hosts = hosts
        self._folder = folder
        self._ask = ask
        self._shared: dict[str, SharedPace] = {}

    def of(self, source: str, rate: Rate, account: str | None = None) -> SourcePace:
        """The pace of all that is asked of ``source``, by whichever ``account`` there (by default the only one)."""
        own = HostPace(self._folder, source, per_minute=rate.per_minute, burst=rate.burst)
        if self._ask is None:
            return own
        part = rate.per_minute / self.hosts
        alone = HostPace(self._folder, f"{source}.alone", per_minute=part, burst=max(1, rate.burst // self.hosts))
        pace = SharedPace(source, limit_of(source), self._ask, own=own, alone=alone)
        self._shared[account or source] = pace
        return pace

    def together(self, account: str) -> bool | None:
        """Whether the rate of ``account`` is kept together with other hosts now; None where this host asks alone."""
        pace = self._shared.get(account)
        return None if pace is None else pace.together
