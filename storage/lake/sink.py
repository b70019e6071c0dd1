"""The lake as a sink of the delivery: records of a lane into tables, each row once however often they are delivered."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pyarrow as pa

from storage.arrow_schema import frame_to_table
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.touch import touched_frame
from storage.errors import FrameError
from storage.frame import Frame
from storage.lake.location import LakeLocation, require_usable
from storage.lake.table import LakeTable
from storage.sink import DeadLetter, Receipt, refuse_undeclared
from storage.spool.record import SpoolRecord

_TABLES_AT_ONCE = 4


class LakeSink:
    """Sink ``lake``. One application transaction per host and lane in every table is the mark of what is stored.

    Each table of a batch is a commit of its own: a kill between two of them is mended by the same records coming again,
    of which each table drops what it has.
    """

    name = "lake"

    def __init__(self, root: LakeLocation, host: str) -> None:
        require_usable(root)
        self._root = root
        self._host = host
        self._tables: dict[str, LakeTable] = {}
        self._guard = threading.Lock()

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """Commit ``records`` (one lane, rising sequence), then mark the hours they touched.

        Rows with a value of another type than declared, which only a change of version can bring, are dead-lettered.

        Raises:
            TryAgain: no outcome or an unknown one; the same records may come again.
            NeedsHuman: a table is damaged, the disk is full or forbidden, or another version of Lodeline wrote records
                with what this one does not declare.
        """
        if not records:
            return Receipt(0)
        app = _application(self._host, records[0])
        last = records[-1].sequence
        dead: list[DeadLetter] = []
        batches: dict[str, list[tuple[int, pa.Table]]] = {}
        for record in records:
            for frame in record.batch.frames:
                refuse_undeclared(record, frame)
                table, refused = _fitting(frame)
                dead += refused
                if table is not None:
                    batches.setdefault(frame.measurement, []).append((record.sequence, table))
        for parts in batches.values():
            parts.append((last, parts[0][1].slice(0, 0)))  # every table's mark is the last record of the delivery

        def commit(measurement: str) -> int:
            return self._table(measurement).append(batches[measurement], app=app)

        with ThreadPoolExecutor(min(_TABLES_AT_ONCE, max(1, len(batches)))) as pool:
            for outcome in [pool.submit(commit, measurement) for measurement in batches]:
                outcome.result()
        touched = touched_frame(records, self._host, clock.time_ns())
        if touched is not None:
            self._table(touched.measurement).append([(0, frame_to_table(touched))])
        points = sum(record.batch.points for record in records)
        return Receipt(points - len(dead), dead)

    def _table(self, measurement: str) -> LakeTable:
        with self._guard:
            if measurement not in self._tables:
                self._tables[measurement] = LakeTable(self._root, MEASUREMENTS[measurement], Tier.RAW)
            return self._tables[measurement]


def _application(host: str, record: SpoolRecord) -> str:
    """Whose sequences they are. A lane whose files were deleted begins anew under another ``lane_id``."""
    return "/".join(filter(None, (host, record.lane, record.lane_id)))


def _fitting(frame: Frame) -> tuple[pa.Table | None, list[DeadLetter]]:
    """Rows of ``frame`` that fit the declaration, and the others with the reason."""
    try:
        return frame_to_table(frame), []
    except FrameError:
        pass
    tables: list[pa.Table] = []
    dead = []
    for row in range(len(frame)):
        single = _row(frame, row)
        try:
            tables.append(frame_to_table(single))
        except FrameError as error:
            line = msgspec.json.encode({"time": single.times[0], **{n: v[0] for n, v in single.columns.items()}})
            dead.append(DeadLetter(frame.measurement, line.decode(), str(error)))
    return (pa.concat_tables(tables) if tables else None), dead


def _row(frame: Frame, row: int) -> Frame:
    columns = {name: [values[row]] for name, values in frame.columns.items() if values[row] is not None}
    return Frame(frame.measurement, [frame.times[row]], columns)
