"""A configuration of what was found, to be read by a human before it is used. It never replaces a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from storage.errors import NeedsHuman
from tasks.miners.detection import Identified
from tasks.miners.discovery.scan import Discovery

FILE_NAME = "data_collection_config.yaml"
_LOGINS = {"vnish-cgi": "admin", "antminer-stock": "root", "antminer-legacy": "root", "auto": "root"}
"""User names the makers deliver with, of drivers that need one."""

_HEADER = """\
# Written by lodeline discover {ranges}
# Read it before you use it: ids become the identity of every row, models and user names may need your knowledge.
# Passwords come from the environment: set MINER_PASSWORD, or give miners with another one a name of their own.
# Then: lodeline check --config FOLDER
"""


def draft(discovery: Discovery, ranges: Sequence[str]) -> str:
    """data_collection_config.yaml with the miners found, and as comments what stayed unidentified."""
    lines = [_HEADER.format(ranges=" ".join(_plain(each) for each in ranges))]
    if any(each.driver == "asic-rs" for each in discovery.found):
        lines.append("# Driver asic-rs needs its library: pip install 'lodeline[asic-rs]'")
    lines.append("miners:" if discovery.found else "miners: []")
    for found, entry in zip(discovery.found, _entries(discovery.found), strict=True):
        about = "; ".join((*([found.firmware_version] if found.firmware_version else []), *found.evidence))
        lines.append(f"  # {_plain(about)}")
        lines.append(indent(yaml.safe_dump([entry], sort_keys=False, allow_unicode=True), "  ").rstrip())
    if discovery.unidentified:
        lines.append("\n# These answered, and no driver is known for them:")
        lines += [f"# {each.address}: {_plain('; '.join(each.evidence))}" for each in discovery.unidentified]
    return "\n".join(lines) + "\n"


def write_beside(folder: Path, text: str) -> Path:
    """Write ``text`` as :data:`FILE_NAME`, or under a name beside it where that is taken. Returns the file written.

    Raises:
        NeedsHuman: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _names(folder):
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise NeedsHuman(f"{folder} cannot be written to: {error.strerror}", remedy="Give another --write") from error
    raise AssertionError  # there is always one more name


def _names(folder: Path) -> Iterator[Path]:
    yield folder / FILE_NAME
    stem, dot, suffix = FILE_NAME.rpartition(".")
    yield folder / f"{stem}.discovered{dot}{suffix}"
    for number in count(2):
        yield folder / f"{stem}.discovered-{number}{dot}{suffix}"


def _entries(found: Sequence[Identified]) -> Iterator[dict[str, Any]]:
    macs = [each.mac for each in found]
    for each in found:
        by_mac = each.mac is not None and macs.count(each.mac) == 1
        entry: dict[str, Any] = {
            "id": f"miner_{each.mac}" if by_mac else f"miner_{each.address.replace('.', '_')}",
            "ip": each.address,
        }
        if each.port is not None:
            entry["port"] = each.port
        entry["driver"] = each.driver
        if each.driver in _LOGINS:
            entry |= {"username": _LOGINS[each.driver], "password": "${MINER_PASSWORD}"}
        yield {**entry, "model": _label(each.model)}


def _label(model: str | None) -> str:
    """``ANTMINER_S21_PRO`` of ``"Antminer S21 Pro (Vnish 1.2.7)"``."""
    said = re.sub(r"\(.*?\)", "", model or "").upper()
    return re.sub(r"[^A-Z0-9+]+", "_", said).strip("_")[:100] or "UNKNOWN"


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
