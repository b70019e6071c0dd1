"""What the processes of the tests do; they are started with ``spawn`` and killed."""

from __future__ import annotations

import itertools
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from storage.arrow_schema import frame_to_table
from storage.declaration import Tier
from storage.lake.location import LakeLocation
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import FAN, tick


def append(root: LakeLocation, host: str, first: int, last: int) -> None:
    """Append records one by one."""
    table = LakeTable(root, FAN, Tier.RAW)
    for sequence in range(first, last + 1):
        table.append([(sequence, frame_to_table(tick(sequence).batch.frames[0]))], app=host)


def deliver_and_tell(root: LakeLocation, first: int, told: Connection) -> None:
    """Deliver records one by one until killed, and tell each sequence once it is acknowledged."""
    sink = LakeSink(root, "host")
    for sequence in itertools.count(first):
        sink.deliver([tick(sequence, miners=20)])
        told.send(sequence)


def die_after_commit(root: Path, sequence: int) -> None:
    """Commit a record and die before anything is told of it."""
    LakeTable.make_durable = lambda self, since: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    LakeSink(root, "host").deliver([tick(sequence)])


def replace(root: LakeLocation, start: int, rows: pa.Table, times: int) -> None:
    """Replace an hour over and over."""
    store = EmbeddedStore(root)
    for _ in range(times):
        store.replace(FAN, Tier.HOURLY, start, start + 3600, rows)
