"""One scenario as it is played: what is done, how long until it is noticed and by what, until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

LOOK_S = 0.5


class Miss(Exception):
    """Something that should have happened has not."""


class Skipped(Exception):
    """It cannot be played here; the text says why."""


@dataclass
class Play:
    """One scenario and what came of it. Seconds count from when the mishap began, ``over_s`` from its mending."""

    name: str
    patience_s: float
    done: str = ""
    detected_by: str = ""
    detected_s: float | None = None
    itself: str = ""
    told: str = ""
    over_s: float | None = None
    fault: str = ""
    skipped: str = ""
    _began: float = field(default=0.0, repr=False)

    @property
    def well(self) -> bool:
        """Whether all that should have happened has."""
        return not self.fault

    def does(self, what: str, act: Callable[[], object]) -> None:
        """Let the mishap begin."""
        self.done = what
        self._began = time.monotonic()
        act()

    def notices(self, by: str, look: Callable[[], object], told: str) -> None:
        """Wait until ``look`` finds something. ``told`` is what the operator is told to do.

        Raises:
            Miss: it does not.
        """
        found = self._wait(f"not noticed: {by}", look)
        self.detected_s = time.monotonic() - self._began
        self.detected_by = by if found is True else f"{by}: {found}"
        self.told = told

    def mends(self, act: Callable[[], object]) -> None:
        """Put it right; from now on it is counted until all is well."""
        act()
        self._began = time.monotonic()

    def ends(self, what: str, look: Callable[[], object]) -> None:
        """Wait until it is over. Raises Miss where it does not end."""
        self._wait(f"not over: {what}", look)
        self.over_s = time.monotonic() - self._began

    def _wait(self, what: str, look: Callable[[], object]) -> object:
        give_up = time.monotonic() + self.patience_s
        while not (found := look()):
            if time.monotonic() > give_up:
                raise Miss(f"{what} within {self.patience_s:.0f} s")
            time.sleep(LOOK_S)
        return found
