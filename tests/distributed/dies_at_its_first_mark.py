"""Loaded into a Dask worker: it is killed once it has written hours, before it has marked them as done."""

from __future__ import annotations

import os
import signal

from storage.declaration import Tier
from storage.downsample import run


def _last_words(store, measurement, tier, covered) -> None:
    if covered and tier is Tier.HOURLY:
        os.kill(os.getpid(), signal.SIGKILL)


run._mark = _last_words
