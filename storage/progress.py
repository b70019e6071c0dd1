"""How far long work is: whoever does it tells, and whoever started it may listen, to show a bar or an artifact.

It goes by the context, as giving up does (tasks/resilience/interruptible.py), into threads that get a copy of it: what
lies between needs to know nothing, and without a listener telling costs next to nothing. Of work within work only one
tells, the one whose parts are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float, str], None]
"""Hears the part that is done, 0 to 1, and what it was. May be called from any thread; must not block."""

_listener: ContextVar[Listener | None] = ContextVar("progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have ``listener`` hear what is told in here."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def told(done: float, of: float, what: str = "") -> None:
    """Tell that ``done`` of ``of`` parts are done, ``what`` the last. Nothing of nothing is all."""
    listener = _listener.get()
    if listener is not None:
        listener(min(max(done / of, 0.0), 1.0) if of else 1.0, what)
