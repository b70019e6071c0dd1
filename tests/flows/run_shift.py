"""A process that runs the flow once, outside of any worker: ``python -m tests.flows.run_shift``."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from flows.collect_miners import collect_miners

if __name__ == "__main__":
    print(asyncio.run(cast("Any", collect_miners(least_minutes=0, return_state=True))))
