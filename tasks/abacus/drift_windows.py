"""The two windows of a feature group that its drift monitor compares, as feature groups at the service.

``<table>_reference`` and ``<table>_current`` hold the very rows that are compared here (tasks/features/drifting.py).
They are moved on from day to day by setting their SQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from typing import Any

from storage.errors import NeedsHuman, TryAgain
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import Definition
from tasks.abacus.project import unless_there
from tasks.abacus.registration import OWNER
from tasks.abacus.sdk import SOURCE
from tasks.features.drifting import compared_windows

REFERENCE, CURRENT = "_reference", "_current"


class DriftWindows:
    """The windows of ``table``, the group's table over there."""

    def __init__(self, abacus: Abacus, definition: Definition, table: str) -> None:
        self._abacus = abacus
        self._definition = definition
        self._table = table

    def moved_to(self, day: int) -> dict[str, str]:
        """Ids of the two groups by table, made where they are missing and moved to the UTC day that begins at ``day``.

        Raises:
            NeedsHuman: a table of that name is not ours. TryAgain, Refusal: the service does not answer, or refuses.
        """
        first, middle, after = compared_windows(self._definition.view, day)
        spans = {REFERENCE: (first, middle), CURRENT: (middle, after)}
        windows = {self._table + suffix: self.sql(*span) for suffix, span in spans.items()}
        return {name: self._moved(name, sql) for name, sql in windows.items()}

    def _moved(self, name: str, sql: str) -> str:
        group = self._group(name)
        if group is None:
            self._call(f"making {name}", partial(self._make, name, sql))
            group = self._group(name)
            if group is None:
                raise TryAgain(f"{SOURCE}: {name} was made and is not there yet")
        is_tagged, is_there = f"owner:{OWNER}" in (group.tags or []), _plain(group.sql) == _plain(sql)
        if not is_tagged and not is_there:
            raise NeedsHuman(
                f"Abacus.AI has a table {name} that Lodeline did not make", remedy="Delete or rename it there"
            )
        key = str(group.feature_group_id)
        if not is_tagged:
            self._call(f"tagging {name}", methodcaller("add_feature_group_tag", key, f"owner:{OWNER}"))
        if not is_there:
            self._call(f"moving {name}", methodcaller("update_feature_group_sql_definition", key, sql))
        return key

    def sql(self, start: int, stop: int) -> str:
        """The group's rows with event times in ``[start, stop)`` (Unix seconds)."""
        column = self._definition.time
        return (
            f"SELECT * FROM {self._table} WHERE {column} >= TIMESTAMP '{time_text(start)}' "  # noqa: S608 - names are checked
            f"AND {column} < TIMESTAMP '{time_text(stop)}'"
        )

    def _make(self, name: str, sql: str, sdk: Any) -> None:
        unless_there(lambda: sdk.create_feature_group(name, sql, f"Window of {self._table} whose drift is watched"))

    def _group(self, name: str) -> Any:
        try:
            return self._call(f"looking for {name}", lambda sdk: sdk.describe_feature_group_by_table_name(name))
        except Refusal as refusal:
            if refusal.is_missing:
                return None
            raise

    def _call(self, what: str, function: Any) -> Any:
        return self._abacus.call(f"drift of {self._table}: {what}", function)


def time_text(seconds: int) -> str:
    """Unix seconds as the service's SQL has them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _plain(sql: str | None) -> str:
    return " ".join((sql or "").split())
