"""The sink that stores spool records in InfluxDB."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.touch import touched_frame
from storage.influx.connection import Connection
from storage.influx.settings import InfluxSettings
from storage.influx.writing import LineWriter, RefusedLine
from storage.line_protocol import encode
from storage.sink import DeadLetter, Receipt, refuse_undeclared
from storage.spool.record import SpoolRecord

LINES_PER_REQUEST = 5_000

logger = logging.getLogger(__name__)


class InfluxSink:
    """Writes every frame into the bucket of its measurement's raw tier, then which hours were touched.

    Rows that only the lake keeps are passed by. They count as stored here: nothing of them is left to do, and the books
    of every sink add up to what the spool accepted.
    """

    name = "influx"

    def __init__(self, settings: InfluxSettings, host: str) -> None:
        self._connection = Connection(settings)
        self._writer = LineWriter(self._connection)
        self._host = host

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """See :class:`storage.sink.Sink`. Lines of one series are sent in the order of the records."""
        refused: list[RefusedLine] = []
        waiting: dict[str, list[bytes]] = defaultdict(list)
        for record in records:
            for frame in record.batch.frames:
                declared = MEASUREMENTS.get(frame.measurement)
                if declared is not None and not declared.in_influx:
                    continue
                refuse_undeclared(record, frame)
                bucket = MEASUREMENTS[frame.measurement].buckets[Tier.RAW]
                for part in frame.parts(LINES_PER_REQUEST):  # lines of a long frame are three times as large as it is
                    waiting[bucket] += encode(part)
                    while len(waiting[bucket]) >= LINES_PER_REQUEST:
                        refused += self._writer.write(bucket, waiting[bucket][:LINES_PER_REQUEST])
                        del waiting[bucket][:LINES_PER_REQUEST]
        for bucket, lines in waiting.items():
            refused += self._writer.write(bucket, lines)
        self._touch(records)
        points = sum(record.batch.points for record in records)
        return Receipt(points - len(refused), [_dead_letter(line) for line in refused])

    def _touch(self, records: Sequence[SpoolRecord]) -> None:
        touched = touched_frame(records, self._host, time.time_ns())
        if touched is None:
            return
        refused = self._writer.write(touched.declared.buckets[Tier.RAW], encode(touched))
        if refused:  # older than the bucket keeps: no roll-up will read that hour either
            logger.warning(
                "%d touched hours were refused and will not be rolled up again: %s",
                len(refused),
                refused[0].reason[:500],
            )

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self._connection.close()


def _dead_letter(refused: RefusedLine) -> DeadLetter:
    measurement = refused.line.partition(b",")[0].partition(b" ")[0].decode()
    return DeadLetter(measurement, refused.line.decode("utf-8", errors="replace"), refused.reason)
