"""A process that runs a shift once, outside of any worker: ``python -m tests.flows.run_shift [watch-alerts]``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

from flows.collect_miners import collect_miners
from flows.watch_alerts import watch_alerts

if __name__ == "__main__":
    shift = watch_alerts if "watch-alerts" in sys.argv else collect_miners
    print(asyncio.run(cast("Any", shift(least_minutes=0, return_state=True))))
