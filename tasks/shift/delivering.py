"""The delivery beside a shift: a thread that brings what any lane of this host holds to the stores."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from storage.delivery.delivery import Delivery
from storage.sink import Sink


class Delivering:
    """A running :class:`Delivery`. Its end never loses anything: what is not delivered stays spooled."""

    def __init__(self, spool: Path, sinks: Sequence[Sink], host: str) -> None:
        self._delivery = Delivery(spool, sinks, host)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._delivery.run, args=(self._stop,), name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def end(self, flush_s: float) -> None:
        """Deliver what is spooled by now for up to ``flush_s`` seconds, then stop; with 0 stop without waiting.

        Blocks. May come without a start.
        """
        if self._thread.is_alive() and flush_s > 0:
            self._delivery.flush(flush_s)
            self._stop.set()
            self._thread.join()
            self._delivery.close()
        self._stop.set()
