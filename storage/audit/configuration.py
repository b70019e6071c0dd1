"""Configuration changes as entries of the audit trail: which keys, from what to what; of a secret only that it changed.

What was in force last is kept in ``<data>/state/configuration.json`` as key and value. Secrets are not in it, not even
as a hash, which could be guessed: only whether they are set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr

from storage.audit.entry import AuditEntry, AuditKind, Detail
from storage.audit.trail import Trail
from storage.errors import LodelineError
from storage.spool.durable import replace_file
from storage.spool.lock import try_lock

KEYS_OF_AN_ENTRY = 100
"""More changed keys than this become several entries."""

SET = "(secret, set)"
_FILE = "configuration.json"
_log = logging.getLogger(__name__)

Known = dict[str, dict[str, str]]
"""File to key to value in words."""


def note_configuration(
    trail: Trail, state: Path, sections: Mapping[str, BaseModel | None], *, actor: str
) -> list[AuditEntry]:
    """Record what differs in ``sections`` (file name to its settings in force) from the last time; the entries.

    ``state`` is the state folder of the host. What cannot be recorded is logged, for nobody shall stop collecting over
    it, and is found to differ again the next time. Two at once record once.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = try_lock(state / ".configuration.lock", f"process {os.getpid()}")
        if lock is None:
            return []
        try:
            return _noted(trail, state / _FILE, sections, actor)
        finally:
            os.close(lock)
    except (OSError, LodelineError) as error:
        _log.warning("a change of configuration is not recorded yet: %s", error)
        return []


def _noted(trail: Trail, path: Path, sections: Mapping[str, BaseModel | None], actor: str) -> list[AuditEntry]:
    known, entries = _known(path), []
    before = dict(known)
    for name, section in sections.items():
        now = dict(flattened(section)) if section is not None else {}
        old = known.get(name)
        if old is None:
            told: list[dict[str, Detail]] = [{"first_seen": True, "keys": len(now)}]
        else:
            told = list(_in_parts(_changes(old, now)))
        entries += [trail.record(AuditKind.CONFIGURATION_CHANGED, name, actor=actor, detail=part) for part in told]
        known[name] = now
    if known != before:
        replace_file(path, msgspec.json.encode(known))
    return entries


def flattened(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Key and value in words of every setting: ``general.log_level``, ``miners[miner_0001].ip``.

    An item of a list goes by its ``id`` where it has one: a miner put before others changes none of them.
    """
    if isinstance(value, BaseModel):
        for name, inner in value:
            yield from flattened(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flattened(inner, f"{key}[{name}]")
    elif isinstance(value, list | tuple) and any(isinstance(item, BaseModel) for item in value):
        for number, item in enumerate(value):
            yield from flattened(item, f"{key}[{getattr(item, 'id', number)}]")
    elif isinstance(value, SecretStr):
        yield key, SET
    else:
        yield key, _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_in_words(item) for item in value)
    return SET if isinstance(value, SecretStr) else str(value)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    changes = {}
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before != after:
            said = ("(none)" if before is None else before, "(none)" if after is None else after)
            changes[key] = "changed" if SET in said else " -> ".join(said)
    return changes


def _in_parts(changes: dict[str, str]) -> Iterator[dict[str, Detail]]:
    items = list(changes.items())
    for first in range(0, len(items), KEYS_OF_AN_ENTRY):
        yield dict(items[first : first + KEYS_OF_AN_ENTRY])


def _known(path: Path) -> Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Known)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
