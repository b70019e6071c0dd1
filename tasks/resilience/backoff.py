"""Exponential back-off with jitter."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first_s`` up to ``cap_s``, each cut by up to half at random.

    The random half keeps miners that failed together, say behind one switch, from coming back together.
    """

    first_s: float = 0.1
    cap_s: float = 2.0

    def wait_s(self, failures: int, random: Random) -> float:
        """Seconds to wait after the ``failures``-th failure in a row, counted from 1."""
        whole = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return whole * random.uniform(0.5, 1.0)
