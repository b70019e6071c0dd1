"""Machines of a test: a network and a host name of their own each, joined by a switch whose cables can be pulled.

A thread that left the namespaces of this process is the machine: whatever is started or asked by it, is there. They
have no names and belong to the thread and its children, so that they are gone with them, whatever happens to the test.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from deployments.up.child import Child
from tests.services import missing

_CLONE_NEWUTS, _CLONE_NEWNET = 0x04000000, 0x40000000
_SWITCH = "switch"
_NETWORK = "10.77.0"

P = ParamSpec("P")
T = TypeVar("T")


class Machine:
    """One of them. ``address`` is its own on the network; skips or fails where this user may not make one."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{_NETWORK}.{number}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._children: list[Child] = []
        self._thread_id = self.run(self._leave)
        self._namespace = self.run(_own_network)
        self.run(_ip, "link", "set", "lo", "up")

    def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What ``work`` returns, done on the machine."""
        return self._thread.submit(work, *arguments, **named).result()

    def start(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], logs: Path) -> Child:
        """Start a process of Python on the machine."""
        self._children.append(self.run(Child, name, arguments, environ, logs))
        return self._children[-1]

    def _leave(self) -> int:
        if shutil.which("ip") is None:
            missing("ip is not installed (Debian: apt-get install iproute2)")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET | _CLONE_NEWUTS):
            missing(f"this user may make no network namespace ({os.strerror(ctypes.get_errno())}: be root)")
        socket.sethostname(self.name)
        return threading.get_native_id()

    def be_switch(self) -> None:
        """Have the switch on this machine."""
        self.run(_ip, "link", "add", _SWITCH, "type", "bridge")
        self.run(_ip, "address", "add", f"{self.address}/24", "dev", _SWITCH)
        self.run(_ip, "link", "set", _SWITCH, "up")

    def connect(self, other: Machine) -> None:
        """Plug ``other`` into the switch of this machine."""
        peer = ["type", "veth", "peer", "name", "uplink", "netns", str(other._thread_id)]
        self.run(_ip, "link", "add", other.name, *peer)
        self.run(_ip, "link", "set", other.name, "master", _SWITCH, "up")
        other.run(_ip, "address", "add", f"{other.address}/24", "dev", "uplink")
        other.run(_ip, "link", "set", "uplink", "up")

    def pull(self, other: Machine) -> None:
        """Pull the cable of ``other``: what was sent is lost, and no connection is told so."""
        self.run(_ip, "link", "set", other.name, "down")

    def plug(self, other: Machine) -> None:
        """Plug the cable of ``other`` in again."""
        self.run(_ip, "link", "set", other.name, "up")

    def end(self) -> None:
        """Kill what still runs on it, and let go of it."""
        for child in self._children:
            child.kill()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid() and _network(entry) == self._namespace:
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
        self._thread.shutdown()


def _own_network() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def _network(process: Path) -> str | None:
    try:
        return os.readlink(process / "ns" / "net")
    except OSError:  # it has ended, or is another user's
        return None


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
