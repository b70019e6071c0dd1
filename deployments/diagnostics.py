"""A bundle of diagnostics: what this host is set to, how it stands and what its logs said, without secrets.

Two nets keep secrets out: settings are written by pydantic, which masks what is declared secret; then every file is
searched as text for every secret value of the configuration, in all the ways it may be written, and for what is named
like a secret (tasks/miners/redaction.py). Files that cannot be searched as text are left out.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import platform
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import BaseModel, SecretStr

from deployments.doctor.examine import examine
from deployments.settings import Settings
from tasks.alerts.book import Book
from tasks.alerts.channels import parts_of
from tasks.health.exposition import exposition
from tasks.health.status import read_status
from tasks.miners.redaction import Redaction

LOG_TAIL_BYTES = 512 * 1024
STATE_MOST_BYTES = 4 * 1024 * 1024
_DAY_S = 86_400
_NAMED_SECRET = re.compile(
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|AUTH_STRING|CREDENTIALS?|_PASS|_PWD|_PSK)(?:_?[0-9]+)?$",
    re.IGNORECASE,
)
_LEAST_SECRET = 6
"""Shorter values of the environment are words of logs more often than secrets."""


def write_bundle(settings: Settings, target: Path, now: float, further: Iterable[str] = ()) -> list[str]:
    """Write a zip to ``target`` (mode 0600) and return the names in it. What cannot be told is told so in its place.
    ``further``: secrets that are neither in ``settings`` nor in the environment.

    Raises:
        FileExistsError: ``target`` is there already.
        OSError: it cannot be written.
    """
    redaction = Redaction(secrets_of(settings) | secrets_in(os.environ) | set(further))
    target.touch(mode=0o600, exist_ok=False)
    names = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in _parts(settings, now):
            bundle.writestr(name, redaction.text(text.encode()))
            names.append(name)
    return names


def secrets_of(settings: Settings) -> set[str]:
    """Every secret value of the configuration, by walking its models; of one that is an address, its parts as well."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
            if "://" in value.get_secret_value():
                found.update(parts_of(value))
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                walk(getattr(value, name))
        elif isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list | tuple | set | frozenset):
            for one in value:
                walk(one)

    for part in (settings.host, settings.collection, settings.retention, settings.abacus):
        walk(part)
    return found


def secrets_in(environ: Mapping[str, str]) -> set[str]:
    """Values of variables that are named like a secret, those of Prefect above all, which its logs may hold: whole, and
    the part behind a colon (``user:password``); and passwords in addresses, or what is there alone."""
    found: set[str] = set()
    for name, value in environ.items():
        if _NAMED_SECRET.search(name):
            found |= {value, value.partition(":")[2]}
        if "://" in value:
            with suppress(ValueError):
                address = urlsplit(value)
                inside = address.username if address.password is None else address.password  # https://<token>@host
                found |= {inside or "", unquote(inside or "")}
    return {secret for secret in found if len(secret) >= _LEAST_SECRET}


def secrets_in_blocks(blocks: Mapping[str, Any]) -> set[str]:
    """Every text in the values of Secret blocks, whole and as :func:`secrets_in` takes it apart."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            found.update(secrets_in({"SECRET": str(value)}))

    walk(dict(blocks))
    return found


def _parts(settings: Settings, now: float) -> Iterator[tuple[str, str]]:
    data = settings.host.data_directory
    yield "about.json", _json(_about(settings, now))
    sections = {
        "host": settings.host, "collection": settings.collection, "retention": settings.retention,
        "abacus": settings.abacus,
    }  # fmt: skip
    for name, section in sections.items():
        if section is not None:
            yield f"configuration/{name}.json", section.model_dump_json(indent=2, exclude_none=True)
    yield "status.json", _told(lambda: msgspec.json.encode(read_status(data, now)).decode())
    yield "metrics.txt", _told(lambda: exposition(data, now).decode())
    yield "doctor.json", _told(lambda: _json([dataclasses.asdict(finding) for finding in examine(settings)]))
    yield "alerts.json", _told(lambda: _alerts(data / "state", now))
    for path in sorted((data / "state").glob("*.json")):
        if path.stat().st_size <= STATE_MOST_BYTES:
            yield f"state/{path.name}", _told(lambda path=path: path.read_text(errors="replace"))
    for path in sorted((data / "logs").rglob("*.log*")):
        if path.is_file() and now - path.stat().st_mtime < 2 * _DAY_S:
            shown = str(path.relative_to(data)).removesuffix(".gz")
            yield shown, _told(lambda path=path: _tail(path))


def _about(settings: Settings, now: float) -> dict[str, Any]:
    return {
        "made": datetime.fromtimestamp(now, UTC).isoformat(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "files": [str(file) for file in settings.files],
        "packages": {
            one.metadata["Name"]: one.version for one in sorted(distributions(), key=lambda d: d.name.lower())
        },
    }


def _alerts(state: Path, now: float) -> str:
    book = Book.look_into(state)
    if book is None:
        return "null"
    try:
        told = {
            "alerts": list(book.alerts().values()),
            "look": book.last_look(),
            "silences": book.silences(),
            "channels": book.channels(),
            "changes": book.changes(now - 7 * _DAY_S),
        }
        return msgspec.json.encode(told).decode()
    finally:
        book.close()


def _tail(path: Path) -> str:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    # a line that is cut may hold half a secret, which no search would know
    lines = content[-LOG_TAIL_BYTES:].partition(b"\n")[2] if len(content) > LOG_TAIL_BYTES else content
    return lines.decode(errors="replace")


def _told(tell: Any) -> str:
    try:
        text: str = tell()
    except Exception as error:  # noqa: BLE001 - told in its place: of a broken host what can be had is wanted
        return f"cannot be told: {type(error).__name__}: {error}\n"
    return text


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str)
