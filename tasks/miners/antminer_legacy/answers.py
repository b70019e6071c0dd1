"""What the CGI scripts of the S9 era answer, as far as it is read. Values are strings; each may be missing.

Names are the firmware's. Pool passwords have no field here, so they are dropped while decoding.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from tasks.miners.decode import Items

Said = str | int | float
"""A value as it comes: text, though some builds send bare numbers."""


class Summary(msgspec.Struct):
    """``elapsed`` is seconds or ``"1d2h3m4s"``; hashrates may have thousands separators (``"13,455.92"``)."""

    elapsed: Said | None = None
    ghs5s: Said | None = None
    ghsav: Said | None = None
    accepted: Said | None = None
    rejected: Said | None = None
    stale: Said | None = None
    hw: Said | None = None
    diffaccepted: Said | None = None


class Pool(msgspec.Struct):
    """One pool slot; ``lstime`` as H:MM:SS ago."""

    index: Said | None = None
    url: str | None = None
    user: str | None = None
    status: str | None = None
    priority: Said | None = None
    accepted: Said | None = None
    rejected: Said | None = None
    stale: Said | None = None
    diff: str | None = None
    diffaccepted: Said | None = None
    lsdiff: Said | None = None
    lstime: str | None = None


class Device(msgspec.Struct):
    """One board. ``freq`` is its clock, and on most builds all that cgminer says of the machine behind it:
    ``"300,freq1=460,fan1=4080,temp1=60,chain_rate1=4500.12"``."""

    index: Said | None = None
    chain_acn: Said | None = None
    freq: Said | None = None
    temp: Said | None = None
    temp2: Said | None = None
    hw: Said | None = None
    rate: Said | None = None
    chain_acs: str | None = None


class MinerStatus(msgspec.Struct):
    """get_miner_status.cgi."""

    summary: Summary | None = None
    pools: Annotated[list[Pool], Items] | None = None
    devs: Annotated[list[Device], Items] | None = None


class SystemInfo(msgspec.Struct):
    """get_system_info.cgi."""

    minertype: str | None = None
    macaddr: str | None = None
    serinum: str | None = None
    system_filesystem_version: str | None = None


class ConfiguredPool(msgspec.Struct):
    """A pool in the settings, without its password."""

    url: str | None = None
    user: str | None = None


class Settings(msgspec.Struct, rename="kebab"):
    """get_miner_conf.cgi."""

    pools: Annotated[list[ConfiguredPool], Items] | None = None
    bitmain_freq: Said | None = None
    bitmain_voltage: Said | None = None
