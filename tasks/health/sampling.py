"""This host, looked at every minute and told every five, beside a shift; by one process of the host at a time.

Whoever writes lane ``health-<host>`` looks; the shifts of other lanes find it taken and look whether it is free once a
minute. So a hand-over costs one row its processor time, and no other process has to run for it. Looking costs some ms
a minute (docs/metrics.md); a row every five minutes keeps the lake to one commit in that time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from storage.audit.trail import file_name
from storage.delivery.books import Books, books
from storage.errors import LodelineError
from storage.influx.settings import InfluxSettings
from storage.settings import StorageSettings
from storage.spool.lane import Lane, LaneBusy
from storage.spool.record import Batch
from tasks.health.clock import offset_to_influxdb
from tasks.health.host import HostState, look
from tasks.health.processes import ProcessState, processes, usage
from tasks.health.rows import LaneAndSink, delivery_frame, host_frame, process_frame

LOOK_S = 60
ROW_S = 300
LANE_CAP_BYTES = 16 * 2**20
_log = logging.getLogger(__name__)


class Sampler:
    """Looks and spools; plain, for whoever has the lane. ``now`` of its methods is Unix seconds."""

    def __init__(
        self,
        lane: Lane,
        storage: StorageSettings,
        *,
        host: str,
        run_id: str,
        look_at: Callable[[Path], HostState] = look,
        offset_to: Callable[[InfluxSettings | None], float | str] = offset_to_influxdb,
    ) -> None:
        self._lane = lane
        self._storage = storage
        self._host = host
        self._run_id = run_id
        self._look_at = look_at
        self._offset_to = offset_to
        self._looks: list[HostState] = []
        self._slot = 0
        self._before: tuple[float, HostState, list[ProcessState], dict[LaneAndSink, Books]] | None = None

    def begin(self, now: float) -> None:
        """The first look, from which times and counts are taken."""
        self._slot = int(now) // ROW_S * ROW_S
        self._before = (
            now,
            self._look_at(self._storage.data_directory),
            processes(self._storage.lock_directory, pss=False),
            self._books(),
        )

    def minute(self, now: float) -> int:
        """One look; the first after every five minutes spools rows. Returns how many.

        Raises:
            NeedsHuman: the disk is full.
        """
        self._looks.append(self._look_at(self._storage.data_directory))
        slot = int(now) // ROW_S * ROW_S
        if slot == self._slot:  # a clock that is being set right may wake it a little early
            return 0
        self._slot = slot
        found, kept = processes(self._storage.lock_directory), self._books()
        at, state, ran, had = self._before or (now, None, None, None)
        frames = [
            host_frame(self._looks, state, self._offset_to(self._storage.influx), self._host, slot),
            process_frame(usage(found, ran, now - at), self._host, slot),
            delivery_frame(kept, had, now - at, self._host, slot),
        ]
        self._before = (now, self._looks[-1], found, kept)
        self._looks = []
        filled = [frame for frame in frames if len(frame)]
        return self._lane.append(Batch(f"health/{self._host}/{slot}", slot, self._run_id, filled)).batch.points

    def _books(self) -> dict[LaneAndSink, Books]:
        return {
            (lane, sink): kept
            for lane, sinks in books(self._storage.spool_directory).items()
            for sink, kept in sinks.items()
        }


class Sampling:
    """A thread that looks while inside ``with``. What goes wrong is logged, and never the shift's matter."""

    def __init__(self, storage: StorageSettings, *, host: str, run_id: str) -> None:
        self._storage = storage
        self._host = host
        self._run_id = run_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)

    def __enter__(self) -> Sampling:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()  # the lane has to be free for the next shift; InfluxDB's clock is waited for 2 s at most

    def _run(self) -> None:
        name = f"health-{file_name(self._host)}"
        while not self._stop.is_set():
            try:
                with Lane.open(self._storage.spool_directory, name, cap_bytes=LANE_CAP_BYTES) as lane:
                    self._look(lane)
            except LaneBusy:
                pass
            except (LodelineError, OSError) as error:
                _log.warning("this host is not looked at: %s", error)
            self._stop.wait(LOOK_S)

    def _look(self, lane: Lane) -> None:
        sampler = Sampler(lane, self._storage, host=self._host, run_id=self._run_id)
        sampler.begin(time.time())
        while not self._stop.wait(LOOK_S - time.time() % LOOK_S):
            sampler.minute(time.time())
