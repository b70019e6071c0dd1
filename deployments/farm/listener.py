"""Listening sockets on many loopback addresses, which can be shut and opened again at once."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from storage.errors import NeedsHuman

log = logging.getLogger(__name__)

_BACKLOG = 128
_SPARE_FILES = 64
_ACCEPT_PAUSE_S = 0.1


class FarmError(NeedsHuman):
    """The farm cannot run as asked: a port is taken, an address does not exist here, too few files may be open."""


def allow_open_files(miners: int, ports: int = 1) -> int:
    """Raise the open-file limit as far as the system lets us; the limit that holds now.

    A miner needs a listening socket and one connection of a poller for each of its ports.

    Raises:
        FarmError: even the hard limit is too low.
    """
    needed = 2 * ports * miners + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        possible = (soft - _SPARE_FILES) // (2 * ports)
        raise FarmError(
            f"{miners} simulated miners need {needed} open files and this system allows {soft}",
            remedy=f"Raise the hard limit (ulimit -Hn {needed}, or LimitNOFILE={needed} of a service), "
            f"or run at most {possible} miners a process, each with its own --first-address",
        )
    return soft


def bound(address: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        FarmError: naming the address and what to do.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
    except OSError as problem:
        listening.close()
        raise FarmError(
            f"the simulated miner at {address}:{port} cannot listen: {problem.strerror}", remedy=_remedy(problem)
        ) from problem
    return listening


def _remedy(problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return "Another process listens there, perhaps another farm: stop it, or choose --port or --first-address"
    if problem.errno == errno.EADDRNOTAVAIL:
        return (
            "Only Linux answers on all of 127.0.0.0/8; elsewhere give the loopback interface this address first, "
            "e.g. on macOS: ifconfig lo0 alias ADDRESS"
        )
    if problem.errno in (errno.EACCES, errno.EPERM):
        return "Ports below 1024 need a privilege: choose another --port"
    if problem.errno in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open: raise the open-file limit (ulimit -n)"
    return "Choose another --port or --first-address"


class Connection(asyncio.BaseProtocol):
    """A connection to a miner, which its listener can end."""

    def __init__(self, connections: set[Connection]) -> None:
        self.transport: asyncio.Transport | None = None
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio."""
        self.transport = None
        self._connections.discard(self)

    def abort(self) -> None:
        """End the connection at once; the other side can know before its next request."""
        if self.transport is not None:
            with suppress(OSError):  # the other side was quicker
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            self.transport.abort()


class Listener:
    """One miner's door. Shut, the system refuses connections, and those there were have ended."""

    def __init__(self, address: str, port: int, connect: Callable[[set[Connection]], Connection]) -> None:
        self.address = address
        self.port = port
        self._connect = connect
        self._connections: set[Connection] = set()
        self._arrivals: set[asyncio.Task[object]] = set()
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether it accepts."""
        return self._socket is not None

    def open(self) -> None:
        """Listen. Raises FarmError where the address is taken."""
        if self._socket is None:
            self._socket = bound(self.address, self.port)
            self.port = self._socket.getsockname()[1]
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def shut(self) -> None:
        """Stop listening and end every connection."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for connection in list(self._connections):
            connection.abort()

    async def finish(self) -> None:
        """Wait for connections that were just arriving."""
        await asyncio.gather(*self._arrivals, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while self._socket is not None:
            try:
                arrived, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                log.error("%s: too many open files, no new connections for %s s", self.address, _ACCEPT_PAUSE_S)
                loop.remove_reader(self._socket)
                loop.call_later(_ACCEPT_PAUSE_S, self._resume)
                return
            arrived.setblocking(False)
            task = loop.create_task(loop.connect_accepted_socket(lambda: self._connect(self._connections), arrived))
            self._arrivals.add(task)
            task.add_done_callback(self._arrivals.discard)

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)
