"""Blocking work beside an event loop that ends soon after its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def interruptible(work: Callable[[Callable[[], bool]], Result]) -> Result:
    """Run ``work(stop)`` in a thread. Once this is cancelled ``stop()`` is true; the work shall ask and end."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop.is_set)
    finally:
        stop.set()
