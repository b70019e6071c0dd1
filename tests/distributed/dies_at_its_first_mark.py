"""Loaded into a Dask worker: it is killed once it has written hours, before it has marked them as done."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from storage.declaration import Measurement, Tier
from storage.downsample import run
from storage.store import Store


def _last_words(store: Store, measurement: Measurement, covered: Mapping[Tier, Mapping[int, int]]) -> None:
    if covered.get(Tier.HOURLY):
        os.kill(os.getpid(), signal.SIGKILL)


run._mark = _last_words
