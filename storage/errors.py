"""The error tree of Lodeline. Two classes decide everything: *try again* and *a human must act*.

Every message says what happened, where, what was expected and what to do; none holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable


class LodelineError(Exception):
    """Base of every error Lodeline raises on purpose. Its text is fit for an operator to read."""


class TryAgain(LodelineError):
    """The same call may succeed later: refused, timed out, 5xx, busy.

    ``retry_after_s`` is the wait the other side asked for (RFC 9110, 10.2.3), None where it asked for none.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NeedsHuman(LodelineError):
    """Repeating the call cannot help until somebody changes something: credentials, a missing bucket, a full disk.

    ``remedy`` says what to do. Data is held, never dropped, while such an error lasts.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.remedy = remedy

    def __reduce__(self) -> tuple[Callable[..., NeedsHuman], tuple[object, ...]]:
        # a process that did a part of a batch hands its errors to the one that waits for it
        return _again, (str(self).removesuffix(f". {self.remedy}"), self.remedy)


def _again(message: str, remedy: str) -> NeedsHuman:
    return NeedsHuman(message, remedy=remedy)


class ConfigurationError(NeedsHuman):
    """A user's configuration is wrong. ``faults`` holds one line per fault, all files together."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults), remedy="Nothing was started")
        self.faults = faults

    def __reduce__(self) -> tuple[Callable[..., NeedsHuman], tuple[object, ...]]:
        return ConfigurationError, (self.faults,)


class FrameError(LodelineError):
    """A row does not fit its declared measurement: names measurement, column, row and what was expected."""


class StoreError(TryAgain):
    """A store answered with something that is neither data nor success, or did not answer."""
