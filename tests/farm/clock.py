"""A clock that stands still until it is moved, and the miners that most tests of the farm are about."""

from __future__ import annotations

from deployments.farm import variants

NOON = 1_795_608_000.0  # 2026-11-25 12:00 UTC
ONE_OF_EACH = (*variants(["vnish-rest"])[:1], *variants(["vnish-cgi"])[:1])


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
