"""Two bounded stages: which addresses have an open port, then what answers there.

The same miners are found at every concurrency (asic-rs #319 finds fewer at more): the clock of a try starts when its
turn has come and not while it waits; whatever ran out of time is tried again, with more time and fewer at once; and
what fails for want of this host's own resources is never taken for a device that is not there.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from storage.errors import NeedsHuman
from tasks.miners.base_url import SOCKET_PORT
from tasks.miners.detection import Identified, Unidentified, identify
from tasks.miners.open_files import allow_open_files
from tasks.miners.transport import AnyTransport

WEB_PORT = 80
_IDENTIFY_AT_ONCE = 64
"""At most so many are identified at once: that costs this host's processor, not only waiting."""

_IDENTIFY_S = 15.0
_FEWEST = 8
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""What a try fails with when this host has no file, memory or port left for it."""

_AWAY = frozenset({errno.EHOSTUNREACH, errno.ETIMEDOUT})
"""What a try fails with when nobody says whose address it is; also when this host's neighbour table is full."""

Door = Literal["open", "closed", "silent", "not_asked"]
Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Called with a stage in words, how many of it are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard is asked. ``timeout_s``: until a port must have answered at the first try; it doubles at each further
    one of ``retries``, as does ``request_s`` for a whole answer, while ``concurrency`` halves twice."""

    ports: tuple[int, ...] = (WEB_PORT, SOCKET_PORT)
    socket_port: int = SOCKET_PORT
    concurrency: int = 256
    timeout_s: float = 1.0
    retries: int = 1
    request_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, by address. ``asked`` addresses, of which ``answered`` had an open port."""

    asked: int
    answered: int
    found: tuple[Identified, ...]
    unidentified: tuple[Unidentified, ...]


class _Host(NamedTuple):
    """An address and its open ports."""

    address: str
    ports: tuple[int, ...]


async def discover(addresses: Sequence[str], limits: Limits, progress: Progress) -> Discovery:
    """Ask ``addresses``. One connection at a time to each.

    Raises:
        NeedsHuman: this host has not enough files or ports for so many at once.
    """
    allow_open_files(limits.concurrency)
    doors = await _in_turns(
        addresses,
        lambda address, patience: _doors(address, limits, patience),
        lambda doors: "silent" in doors or "not_asked" in doors,
        limits,
        at_once=limits.concurrency,
        done=lambda done, of: progress("ports", done, of),
    )
    if any("not_asked" in each for each in doors.values()):
        raise NeedsHuman(
            f"this host has no files, memory or ports left to ask {limits.concurrency} addresses at once",
            remedy="Give a lower --concurrency",
        )
    opened = {
        address: tuple(port for port, door in zip(limits.ports, doors[address], strict=True) if door == "open")
        for address in addresses
    }
    hosts = [_Host(address, ports) for address, ports in opened.items() if ports]
    named = await _in_turns(
        hosts,
        lambda host, patience: _named(host, limits, patience),
        lambda result: result.ran_out_of_time,
        limits,
        at_once=min(limits.concurrency, _IDENTIFY_AT_ONCE),
        done=lambda done, of: progress("devices", done, of),
    )
    results = [named[host] for host in hosts]
    return Discovery(
        asked=len(addresses),
        answered=len(hosts),
        found=tuple(each for each in results if isinstance(each, Identified)),
        unidentified=tuple(each for each in results if isinstance(each, Unidentified)),
    )


async def _in_turns(
    items: Iterable[Item],
    attempt: Callable[[Item, float], Awaitable[Result]],
    is_undecided: Callable[[Result], bool],
    limits: Limits,
    *,
    at_once: int,
    done: Callable[[int, int], None],
) -> dict[Item, Result]:
    """The result of ``attempt`` for each item; where that is undecided, the one of a further turn with more patience
    and fewer at once. ``attempt`` is given the item and how many times longer than usual it may take."""
    results: dict[Item, Result] = {}
    waiting = list(items)
    for turn in range(limits.retries + 1):
        queue = iter(waiting)
        finished = 0

        async def work(queue: Iterable[Item] = queue, patience: float = 2.0**turn, of: int = len(waiting)) -> None:
            nonlocal finished
            for item in queue:
                results[item] = await attempt(item, patience)
                finished += 1
                done(finished, of)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(waiting), max(min(at_once, _FEWEST), at_once >> 2 * turn))):
                group.create_task(work())
        waiting = [item for item in waiting if is_undecided(results[item])]
    return results


async def _doors(address: str, limits: Limits, patience: float) -> tuple[Door, ...]:
    return tuple([await _door(address, port, limits.timeout_s * patience) for port in limits.ports])


async def _door(address: str, port: int, timeout_s: float) -> Door:
    """Whether somebody listens. At the end of the time the socket itself is asked: an answer that came while this
    process was busy with others counts."""
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        trying = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        return _door_of(error.errno)
    with trying:
        code = trying.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            loop.add_writer(trying, answered.set)
            try:
                async with asyncio.timeout(timeout_s):
                    await answered.wait()
            except TimeoutError:
                pass
            finally:
                loop.remove_writer(trying)
            code = trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return _door_of(code)
        try:
            trying.getpeername()
        except OSError:
            return "silent"
        return "open"


def _door_of(code: int | None) -> Door:
    if code in _OURS:
        return "not_asked"
    return "silent" if code in _AWAY else "closed"


async def _named(host: _Host, limits: Limits, patience: float) -> Identified | Unidentified:
    """What listens there, by the first of its web ports that tells. A port that speaks no HTTP and is none of the usual
    ones was named by somebody who knows it: it may be a socket API moved there."""
    has_socket = limits.socket_port in host.ports
    webs = [port for port in host.ports if port != limits.socket_port]
    result: Identified | Unidentified = Unidentified(address=host.address, reason="no_answer", evidence=())
    transport = AnyTransport(connect_timeout_s=limits.timeout_s * patience, deadline_s=limits.request_s * patience)
    try:
        async with asyncio.timeout(_IDENTIFY_S * patience):
            for web in webs or [WEB_PORT]:
                result = await identify(
                    host.address,
                    transport,
                    web=bool(webs),
                    port=None if web == WEB_PORT else web,
                    socket_port=limits.socket_port if has_socket else None,
                )
                if isinstance(result, Unidentified) and result.reason == "no_answer" and web != WEB_PORT:
                    by_socket = await identify(host.address, transport, web=False, socket_port=web)
                    if isinstance(by_socket, Identified) or not by_socket.ran_out_of_time:
                        result = replace(by_socket, evidence=(*result.evidence, *by_socket.evidence))
                if isinstance(result, Identified):
                    break
    except TimeoutError:
        evidence = (f"no end within {_IDENTIFY_S * patience:g} s",)
        return Unidentified(address=host.address, reason="no_answer", evidence=evidence, ran_out_of_time=True)
    finally:
        await transport.aclose()
    return result
