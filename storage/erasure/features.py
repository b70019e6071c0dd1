"""Features of an entity: which tables hold them, and the online store.

A row of a view is of the end of its window, so a range is moved by the window's length: what is erased of the source
between two times is erased of the features that were made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.erasure.entity import END_OF_TIME_S, Entity
from storage.features.online import OnlineStore
from storage.features.rows import entity_values
from storage.features.table import feature_table, superseded_tables
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from storage.lake.location import LakeLocation
from storage.lake.table import LakeTable

_DAY_S = 86_400
"""Longest window of a view: what is known of the windows of one that is no longer declared."""


@dataclass(slots=True)
class OnlineErased:
    """Rows taken out of the online store."""

    rows: int = 0


def feature_tables(root: LakeLocation, entity: Entity) -> Iterator[tuple[LakeTable, Entity]]:
    """Tables that may hold rows made of ``entity``, each with the entity as it is to be erased there."""
    for view in VIEWS.values():
        table = feature_table(root, view)
        if _wants(view, entity) and table.exists():
            table.tier = view.tier  # whose windows count whole
            start, stop = _moved(view, entity)
            yield table, dataclasses.replace(entity, start=start, stop=stop)
    if entity.measurements is None:
        for table in superseded_tables(root):
            if entity.word is not None or set(entity.tags) <= set(table.measurement.tag_names):
                yield table, dataclasses.replace(entity, stop=min(entity.stop + _DAY_S, END_OF_TIME_S))


def erase_from_online(file: Path, entity: Entity) -> OnlineErased:
    """Take the newest features of ``entity`` out of ``file``, where there is one.

    Raises:
        TryAgain: it is being read, or cannot be written. NeedsHuman: it is no online store.
    """
    if not file.is_file():
        return OnlineErased()
    views = {view.stored_name: view for view in VIEWS.values()}

    def is_meant(stored: str, key: str, event: int, features: Sequence[Any]) -> bool:
        view = views.get(stored)
        if view is None:
            return True  # of a version that nobody can ask for any more
        values = entity_values(view, key)
        start, stop = _moved(view, entity)
        if not _wants(view, entity) or not start <= event < stop:
            return False
        row = dict(zip((*view.entity, *view.feature_names), (*values, *features), strict=True))
        if all(row.get(tag) == value for tag, value in entity.tags.items()):
            return True
        return any(isinstance(value, str) and entity.mentions(value) for value in row.values())

    with OnlineStore(file) as online:
        return OnlineErased(online.forget(is_meant))


def _wants(view: FeatureView, entity: Entity) -> bool:
    if entity.measurements is not None and view.measurement.name not in entity.measurements:
        return False
    return entity.word is not None or set(entity.tags) <= set(view.tag_names)


def _moved(view: FeatureView, entity: Entity) -> tuple[int, int]:
    start, stop = entity.span(view.tier)
    return (start + view.width_s if entity.start > 0 else 0), min(stop + view.width_s, END_OF_TIME_S)
