"""Addresses from what an operator writes: ``10.0.0.0/24``, ``10.0.0.5``, ``10.0.0.10-10.0.0.50``, ``10.0.0.10-50``."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from storage.errors import NeedsHuman

MOST = 65_536
"""Addresses of one discovery, a /16. More is nobody's farm, and a slip of the finger more often than not."""


class BadRange(NeedsHuman):
    """What was written is no range of addresses that can be asked."""


def addresses(ranges: Iterable[str]) -> list[str]:
    """All addresses of ``ranges``, each once, ascending; without network and broadcast addresses of networks.

    Raises:
        BadRange: one of them is none, or all together are more than :data:`MOST`.
    """
    found: set[int] = set()
    for written in ranges:
        first, last = _ends(written.strip())
        if last - first >= MOST:
            raise _too_many(last - first + 1, written)
        found.update(range(first, last + 1))
    if len(found) > MOST:
        raise _too_many(len(found), "all ranges together")
    return [str(IPv4Address(number)) for number in sorted(found)]


def _ends(written: str) -> tuple[int, int]:
    try:
        if "/" in written:
            network = IPv4Network(written, strict=False)
            first, last = int(network.network_address), int(network.broadcast_address)
            if network.prefixlen < 31:
                first, last = first + 1, last - 1
        else:
            start, dash, stop = (part.strip() for part in written.partition("-"))
            first = int(IPv4Address(start))
            whole = stop if "." in stop else f"{start.rpartition('.')[0]}.{stop}"
            last = int(IPv4Address(whole)) if dash else first
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise BadRange(f"{written!r} is no range of IPv4 addresses: {error}", remedy=_HOW) from None
    if last < first:
        raise BadRange(f"{written!r} ends before it begins", remedy=_HOW)
    for end in (first, last):
        address = IPv4Address(end)
        if address.is_multicast or address.is_reserved or end >> 24 == 0:
            raise BadRange(f"{written!r} has {address}, which is no address of a miner", remedy=_HOW)
    return first, last


_HOW = "Write 10.0.0.0/24, 10.0.0.5, 10.0.0.10-10.0.0.50 or 10.0.0.10-50"


def _too_many(number: int, what: str) -> BadRange:
    return BadRange(
        f"{what}: {number:,} addresses; one discovery asks {MOST:,} at most, a /16",
        remedy="Give the networks that miners stand in, such as 10.0.0.0/24 10.0.1.0/24",
    )
