"""Blocking work beside an event loop that ends soon after its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Result = TypeVar("Result")


async def interruptible(work: Callable[[Callable[[], bool]], Result]) -> Result:
    """Run ``work(stop)`` in a thread. Once this is cancelled ``stop()`` is true; the work shall ask and end."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop.is_set)
    finally:
        stop.set()


_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


@contextmanager
def giving_up() -> Iterator[None]:
    """Has :func:`is_given_up` be true from the end of this on, in every thread that was given a copy of the context."""
    event = threading.Event()
    token = _given_up.set(event)
    try:
        yield
    finally:
        event.set()
        _given_up.reset(token)


def is_given_up() -> bool:
    """Whether nobody waits any more for what is done here. In another process nobody knows: False."""
    event = _given_up.get()
    return event is not None and event.is_set()
