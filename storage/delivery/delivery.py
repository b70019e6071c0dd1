"""All lanes of a host to all sinks, side by side: a slow sink delays neither another sink nor another lane."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.delivery.books import Books, books, lanes_of
from storage.delivery.courier import Courier
from storage.sink import Sink
from storage.spool.reader import LaneReader

__all__ = ["Books", "Delivery", "books"]

POLL_S = 0.5
"""How often an idle courier looks for new records, and new lanes are looked for."""
STOP_GRACE_S = 15.0
"""What a sink gets to finish its call at a stop; sinks time out sooner than that."""

_log = logging.getLogger(__name__)


class Delivery:
    """Delivers every lane under ``spool_root`` to ``sinks``. ``host`` names this host in lock files.

    Lanes may come and go; those that a dead process left are delivered like any other. Several deliveries on one host
    share the work without doubling it.
    """

    def __init__(self, spool_root: Path, sinks: Sequence[Sink], host: str) -> None:
        self._names = [sink.name for sink in sinks]
        if len(set(self._names)) < len(self._names):
            raise ValueError(f"sinks {self._names}: two have one name, but a mark is kept by name")
        self._spool_root = spool_root
        self._sinks = list(sinks)
        self._holder = f"{host} process {os.getpid()}"
        self._couriers: dict[tuple[str, str], Courier] = {}
        self._couriers_lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Deliver until ``stop`` is set, one thread for every lane and sink. Blocks; made for a thread of its own."""
        threads: dict[Courier, threading.Thread] = {}
        while not stop.is_set():
            try:
                couriers = self._all_couriers()
            except OSError as error:  # no file descriptor left, most likely; the couriers there are go on
                _log.warning("%s: cannot look for lanes: %s", self._spool_root, error)
                couriers = []
            for courier in couriers:
                if courier not in threads:
                    threads[courier] = _thread(self._keep_delivering, courier, stop)
            stop.wait(POLL_S)
        give_up = time.monotonic() + STOP_GRACE_S
        for courier, thread in threads.items():
            thread.join(max(0.0, give_up - time.monotonic()))
            if thread.is_alive():
                _log.warning(
                    "%s to %s: still in a call after %g s, left to itself; its records come again",
                    courier.lane.name, courier.sink.name, STOP_GRACE_S,
                )  # fmt: skip
            else:
                courier.close()

    def deliver_once(self) -> bool:
        """One delivery of every lane to every sink, one after the other, without waiting. Whether anything moved."""
        return any([courier.attempt() == 0.0 for courier in self._all_couriers()])

    def flush(self, timeout_s: float) -> bool:
        """Deliver what is in the spool now, for at most ``timeout_s`` seconds. Whether every sink has all of it.

        May be called beside :meth:`run` and after it.
        """
        stop = threading.Event()
        deadline = time.monotonic() + timeout_s
        targets = {courier: LaneReader(courier.lane).last_sequence for courier in self._all_couriers()}
        threads = [_thread(self._keep_delivering, courier, stop, target) for courier, target in targets.items()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stop.set()
        return all(courier.has_reached(target) for courier, target in targets.items())

    def books(self) -> dict[str, dict[str, Books]]:
        """Books of all lanes and sinks."""
        return books(self._spool_root)

    def close(self) -> None:
        """Let other processes deliver. Waits for calls of sinks that are under way."""
        with self._couriers_lock:
            for courier in self._couriers.values():
                courier.close()

    def _all_couriers(self) -> list[Courier]:
        with self._couriers_lock:
            for lane in lanes_of(self._spool_root):
                for sink in self._sinks:
                    if (lane.name, sink.name) not in self._couriers:
                        courier = Courier(lane, sink, self._names, holder=self._holder, random=random.random)
                        self._couriers[lane.name, sink.name] = courier
            return list(self._couriers.values())

    @staticmethod
    def _keep_delivering(courier: Courier, stop: threading.Event, target: int | None = None) -> None:
        while not stop.is_set() and not (target is not None and courier.has_reached(target)):
            wait = courier.attempt()
            if wait != 0.0:
                stop.wait(POLL_S if wait is None else wait)


def _thread(target: Callable[..., None], *arguments: object) -> threading.Thread:
    # A daemon: a sink that hangs must not keep a process that wants to end; the spool has what it was doing.
    thread = threading.Thread(target=target, args=arguments, daemon=True, name="delivery")
    thread.start()
    return thread
