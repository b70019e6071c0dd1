"""The detector of a lane and the file that lets it go on after a restart: a day of history is a day to learn anew.

``<data>/state/<lane>.anomalies.npz``, some 3 kB a miner, replaced every hour and at an orderly end. What a crash loses
is an hour at most, and costs no reading.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.records.miner import Miner
from tasks.abacus.settings import RealTimeSettings
from tasks.derive.anomaly.scoring import Sensitivity
from tasks.derive.anomaly.stream import Watch

_HOUR_S = 3_600
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watching:
    """How anomalies are looked for on the stream; see :class:`tasks.derive.anomaly.stream.Watch`."""

    window_s: int = 300
    sensitivity: Sensitivity = "medium"
    threshold: float = 0.8

    def begin(self, miners: Sequence[Miner]) -> Watch:
        """A detector for ``miners`` that knows nothing yet."""
        return Watch(miners, window_s=self.window_s, sensitivity=self.sensitivity, threshold=self.threshold)


def watching_of(settings: RealTimeSettings) -> Watching | None:
    """What section ``real_time`` of the configuration wants; None where it wants none."""
    wanted = settings.anomaly_detection
    if not wanted.enabled:
        return None
    return Watching(settings.streaming_window_seconds, wanted.sensitivity, wanted.alert_threshold)


class WatchFile:
    """The file of ``watch``, which goes on from it at once. One process writes it."""

    def __init__(self, watch: Watch, path: Path) -> None:
        self.path = path
        self._watch = watch
        self._kept: int | None = None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as state:
                watch.memory.recall(dict(state))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _LOG.warning("%s cannot be read, anomalies are learnt anew: %s", path, error)

    def keep(self, slot: int | None) -> None:
        """Write the file where an hour has passed by ``slot``; None: at any rate. A disk that does not take it is
        logged."""
        hour = None if slot is None else slot // _HOUR_S
        if hour is not None and self._kept in (None, hour):
            self._kept = hour
            return
        draft = self.path.with_suffix(".npz.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                np.savez(file, **self._watch.memory.state())  # type: ignore[arg-type]
            draft.replace(self.path)
        except OSError as error:
            _LOG.warning("what is usual of the miners cannot be kept in %s: %s", self.path, error)
        self._kept = hour
