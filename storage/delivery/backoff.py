"""How long to wait before the next try. Pure: the caller brings the random numbers and does the waiting."""

from __future__ import annotations

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 60.0
LONGEST_ASKED_S = 600.0
"""What a server may ask for by Retry-After; more is taken for this much."""


class Backoff:
    """Exponential back-off with full jitter: the n-th wait is random below min(60, 2**n) seconds.

    ``random`` gives numbers in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0

    def failed(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait after one more failure, at least what the server asked for."""
        ceiling = min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        asked = min(max(retry_after_s or 0.0, 0.0), LONGEST_ASKED_S)
        return max(self._random() * ceiling, asked)

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
