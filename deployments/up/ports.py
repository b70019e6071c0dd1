"""Ports on loopback."""

from __future__ import annotations

import socket

from storage.errors import NeedsHuman

LOOPBACK = "127.0.0.1"


def choose_port(asked: int | None, usual: int, what: str) -> int:
    """The port ``asked`` for; without one the ``usual`` port, or any free one where that is in use.

    Raises:
        NeedsHuman: the port asked for is in use.
    """
    if asked is not None:
        if not _is_free(asked):
            raise NeedsHuman(f"port {asked} for {what} is in use", remedy="Name another, or none to take a free one")
        return asked
    if _is_free(usual):
        return usual
    return free_port()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except OSError:
        return False
