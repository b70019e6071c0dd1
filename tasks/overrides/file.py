"""Where overrides are kept: ``<data>/state/overrides.json``, a file alone, so that they work while all else is down.

Any number of processes set and end them, one after another; each change is on the disk, whole, when it returns. Shifts
read the file once a tick, and only if it changed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from storage.errors import NeedsHuman
from storage.spool.durable import replace_file
from tasks.overrides.override import NOTHING_BY_HAND, Override, Overrides

FILE_NAME = "overrides.json"
_KEPT_S = 7 * 86_400
_log = logging.getLogger(__name__)


class _Content(msgspec.Struct):
    overrides: list[Override] = []


class OverrideFile:
    """The overrides of one host; ``state`` is ``<data>/state``."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE_NAME

    def read(self) -> list[Override]:
        """All that are kept, oldest first, those that ran out within the last week too; none where there is no file.

        Raises:
            NeedsHuman: the file is damaged, or may not be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Content).overrides
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            raise NeedsHuman(
                f"overrides {self.path} cannot be read: {error}",
                remedy="Give this user the right to read it; where it is damaged, move it away: no override holds then",
            ) from error

    def put(self, override: Override) -> None:
        """Set one; it takes the place of one of the same kind for the same subject. Raises NeedsHuman."""
        with self._held() as kept:
            same = (override.kind, override.target, override.subject)
            rest = [one for one in kept if (one.kind, one.target, one.subject) != same]
            self._write([*rest, override], override.made)

    def end(self, override_id: str, now: float) -> Override | None:
        """Take one away; None: none of that id holds at ``now``. Raises NeedsHuman."""
        with self._held() as kept:
            ended = next((one for one in kept if one.id == override_id and one.holds(now)), None)
            if ended is not None:
                self._write([one for one in kept if one.id != override_id], now)
        return ended

    def _write(self, overrides: list[Override], now: float) -> None:
        kept = [one for one in overrides if now - one.until < _KEPT_S]
        replace_file(self.path, msgspec.json.encode(_Content(kept)))

    @contextmanager
    def _held(self) -> Iterator[list[Override]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path.with_name(f".{FILE_NAME}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.read()
        except OSError as error:
            raise self._not_written(error) from error
        finally:
            os.close(descriptor)

    def _not_written(self, error: OSError) -> NeedsHuman:
        return NeedsHuman(
            f"overrides {self.path} cannot be written: {error.strerror or error}",
            remedy="Free space on its volume or grant the right; nothing was changed",
        )


class OverrideWatch:
    """What a shift knows of the overrides: the file, read again once it changed.

    A file that cannot be read leaves what was known: a fault of this file must not stop a collection.
    """

    def __init__(self, state: Path) -> None:
        self._file = OverrideFile(state)
        self._seen: tuple[int, int, int] | None = None
        self._known: list[Override] = []

    def look(self, now: float) -> Overrides:
        """Those that hold at ``now``, Unix seconds."""
        try:
            found = self._file.path.stat()
            mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            mark = None
        if mark != self._seen:
            self._seen = mark
            try:
                self._known = self._file.read()
            except NeedsHuman as error:
                _log.error("overrides stay as they were: %s", error)
        return Overrides.at(self._known, now) if self._known else NOTHING_BY_HAND


def paused_now(state: Path) -> Callable[[str], bool]:
    """Whether a source, by its name, is paused at this moment."""
    watch = OverrideWatch(state)
    return lambda source: watch.look(time.time()).paused_source(source) is not None
