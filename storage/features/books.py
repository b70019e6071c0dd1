"""What publication has looked at: when each view began and as what, from which state of its source each day was made,
and through when all that became known is there. A table beside those of the views, ``features/books``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from storage.arrow_schema import FILE_TIME, integers
from storage.declaration import Measurement, Tag
from storage.errors import NeedsHuman
from storage.features.table import BOOKS, FOLDER
from storage.features.view import FeatureView
from storage.lake.history import checkpoint
from storage.lake.layout import Layout, Period
from storage.lake.location import LakeLocation
from storage.lake.maintenance import vacuum
from storage.lake.parquet import read_file
from storage.lake.replacement import replace_rows
from storage.lake.table import LakeTable

_BEGAN, _DAY, _SETTLED = "began", "day", "settled"
_SCHEMA = pa.schema([("time", FILE_TIME), ("view", pa.string()), ("mark", pa.string()), ("state", pa.string())])
_KEY = ("view", "mark")


class Books:
    """Marks of all views, held in memory and written by year."""

    def __init__(self, root: LakeLocation) -> None:
        identity = Measurement(BOOKS, FOLDER, "what is published", tuple(Tag(name, "") for name in _KEY), (), {})
        self._table = LakeTable.undeclared(root, identity, FOLDER, _SCHEMA, Layout(Period.YEAR, _KEY))
        self._marks: dict[tuple[str, str, int], str] = {}
        snapshot = self._table.snapshot(fresh=True)
        with self._table.failures():
            for part in snapshot.parts if snapshot else ():
                for row in read_file(part.path, _SCHEMA).to_pylist():
                    self._marks[row["view"], row["mark"], int(row["time"].timestamp())] = row["state"]

    def day(self, view: FeatureView, day: int) -> str | None:
        """State that the day was published from; None where it was never looked at."""
        return self._marks.get((view.stored_name, _DAY, day))

    def settled(self, view: FeatureView) -> int | None:
        """Through when (Unix seconds) known rows are there, and none will ever be added; None: not yet whole."""
        mark = self._marks.get((view.stored_name, _SETTLED, 0))
        return None if mark is None else int(mark)

    def is_begun(self, view: FeatureView) -> bool:
        """Whether the view was ever published."""
        return (view.stored_name, _BEGAN, 0) in self._marks

    def began(self, view: FeatureView, now: int) -> int:
        """When the view was published first, which is ``now`` the first time.

        Raises:
            NeedsHuman: it was another definition then, under the same version.
        """
        key = (view.stored_name, _BEGAN, 0)
        if key not in self._marks:
            self._write({key: f"{now} {view.fingerprint}"})
        first, _, fingerprint = self._marks[key].partition(" ")
        if fingerprint != view.fingerprint:
            raise NeedsHuman(
                f"Feature view {view.name} version {view.version} was published with another definition "
                f"({fingerprint}, now {view.fingerprint})",
                remedy="Give the changed definition a new version in storage/features/views.py",
            )
        return int(first)

    def write_days(self, view: FeatureView, states: dict[int, str]) -> None:
        """Mark days; durable on return."""
        self._write({(view.stored_name, _DAY, day): state for day, state in states.items()})

    def write_settled(self, settled: dict[str, int]) -> None:
        """Mark views (by stored name) as whole up to a time; durable on return."""
        self._write({(view, _SETTLED, 0): str(time) for view, time in settled.items()})

    def tidy(self) -> None:
        """Keep the table of the books itself in shape."""
        if self._table.exists():
            vacuum(self._table)
            checkpoint(self._table)

    def _write(self, marks: dict[tuple[str, str, int], str]) -> None:
        if all(self._marks.get(key) == state for key, state in marks.items()):  # none, or none that is new
            return
        self._marks |= marks
        days = [day for _, _, day in marks]
        first, after = Period.YEAR.window(min(days))[0], Period.YEAR.window(max(days))[1]
        kept = [(key, state) for key, state in self._marks.items() if first <= key[2] < after]
        times = integers(np.array([key[2] * 1_000_000 for key, _ in kept], dtype=np.int64)).cast(FILE_TIME)
        texts = [[key[0] for key, _ in kept], [key[1] for key, _ in kept], [state for _, state in kept]]
        rows = pa.Table.from_arrays([times, *(pa.array(text, pa.string()) for text in texts)], schema=_SCHEMA)
        replace_rows(self._table, first, after, rows)
