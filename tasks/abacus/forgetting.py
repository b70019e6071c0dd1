"""What Abacus.AI has of an entity that was erased here: deleted as far as its package can, and the rest told.

Rows that were streamed are deleted one by one (``delete_data``). Rows of uploads cannot be: the package deletes a
version of a dataset as a whole, and a version has the rows of every entity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.errors import NeedsHuman, TryAgain
from storage.features.rows import entity_values
from storage.features.table import feature_table, published
from storage.opening import lake_location
from storage.settings import StorageSettings
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import RECORD, definitions_of
from tasks.abacus.registration import BATCHES, ONLINE, Registry, connected, table_name
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings

ROWS_AT_ONCE = 50_000
"""Newest rows of a table that are looked through in one answer."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """``deleted``: rows that are gone, by table. ``versions``: of a dataset, by table, which only go as a whole.
    ``unseen``: tables with more rows than were looked through."""

    deleted: dict[str, int]
    versions: dict[str, int]
    unseen: list[str]


def forget(
    settings: AbacusSettings, endpoints: Endpoints, storage: StorageSettings, name: str, entity: str, *, trail: Trail,
    actor: str, rows_at_once: int = ROWS_AT_ONCE,
) -> Forgotten:  # fmt: skip
    """Delete the rows of ``entity`` from every version of group ``name`` over there. The same again finishes it.

    Raises:
        NeedsHuman: there is no such group, or the entity is known here, and would be sent again. TryAgain: no answer.
    """
    definitions = {one.name: one for one in definitions_of(settings.feature_groups)}
    if name not in definitions:
        raise NeedsHuman(f"There is no feature group {name!r}", remedy=f"There are: {', '.join(definitions) or 'none'}")
    view = definitions[name].view
    wanted = dict(zip(view.entity, entity_values(view, entity), strict=True))
    table = feature_table(lake_location(storage), view)
    if table.exists() and published(table, view, entities=[entity], columns=[]).num_rows:
        raise NeedsHuman(
            f"{entity} is known to view {view.name} here, and would be sent again",
            remedy="Erase it here first: lodeline erase",
        )
    deleted, versions, unseen = {}, {}, []
    with connected(settings, endpoints) as (abacus, registry):
        _, newest = registry.find(definitions[name])
        for version in range(1, newest + 1):
            plain = table_name(name, version)
            group = registry.group(plain + ONLINE)
            if group is not None:
                deleted[plain + ONLINE], is_whole = _deleted(abacus, group, wanted, rows_at_once)
                unseen += [] if is_whole else [plain + ONLINE]
            count = _versions(abacus, registry, plain + BATCHES)
            if count:
                versions[plain + BATCHES] = count
    if any(deleted.values()):
        rows: dict[str, int | float | str | None] = {
            f"rows of {table} at Abacus.AI": count for table, count in deleted.items()
        }
        trail.record(AuditKind.ERASED, name, actor=actor, detail=rows)
    return Forgotten(deleted, versions, unseen)


def _deleted(abacus: Abacus, group: Any, wanted: dict[str, str], rows_at_once: int) -> tuple[int, bool]:
    """Rows deleted, and whether all rows of the group were seen: the service shows the newest only."""
    key, table = group.feature_group_id, group.table_name
    deleted: set[str] = set()
    while True:
        rows = abacus.call(f"rows of {table}", lambda sdk: sdk.get_data(key, num_rows=rows_at_once)) or []
        ours = [row for row in rows if all((row.contents or {}).get(tag) == value for tag, value in wanted.items())]
        for row in ours:
            primary = row.primary_key or (row.contents or {}).get(RECORD)
            if primary is None:
                raise TryAgain(f"Abacus.AI: a row of {table} came without its key")
            if primary in deleted:
                raise TryAgain(f"Abacus.AI: a row of {table} is told again after it said that it is deleted")
            try:
                abacus.call(f"deleting a row of {table}", methodcaller("delete_data", key, primary))
            except Refusal as refusal:
                if not refusal.is_missing:  # the answer that it is gone was lost
                    raise
            deleted.add(primary)
        if not ours:
            return len(deleted), len(rows) < rows_at_once


def _versions(abacus: Abacus, registry: Registry, table: str) -> int:
    batches = registry.group(table)
    if batches is None or not batches.dataset_id:
        return 0
    found = abacus.call(f"versions of {table}", partial(_listed, batches.dataset_id)) or []
    return sum(version.status == "COMPLETE" for version in found)


def _listed(dataset: str, sdk: Any) -> Any:
    return sdk.list_dataset_versions(dataset, limit=10_000)
