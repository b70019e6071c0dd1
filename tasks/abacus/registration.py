"""Feature groups at the service as the configuration declares them: what is missing or different, shown or mended.

A group NAME is two tables over there: ``NAME_batches``, the dataset whose versions are our uploads, and ``NAME``, the
feature group merged over all of them, one row per primary key, the newest by ``known_at``. A definition that changed
(its fingerprint is a tag) gets tables of its own, ``NAME_v2`` and so on; those of before stay as they are. Description
and tags may change without that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from operator import methodcaller
from typing import Any, NamedTuple

from abacusai import LastNMergeConfig

from storage.errors import NeedsHuman
from tasks.abacus.connection import Abacus, Refusal
from tasks.abacus.definition import KNOWN_AT, RECORD, Definition
from tasks.abacus.project import Project, unless_there
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings

OWNER = "lodeline"
BATCHES, ONLINE = "_batches", "_online"
VERSIONS_KEPT = 10_000
"""Versions of a dataset that the service is asked to keep: one of each upload, seven years of four a day."""

_WRITER = "streamed-by:"
MOST_VERSIONS = 1_000


class Difference(NamedTuple):
    """Something that is otherwise at the service than declared. ``mend`` makes it right; None: nobody can by this."""

    table: str
    what: str
    declared: str
    found: str
    mend: Callable[[], object] | None


@dataclass(frozen=True, slots=True)
class Registered:
    """Where a group is at the service. ``is_settled``: it has data, so its features, types and keys are known."""

    table: str
    version: int
    dataset_id: str
    group_id: str
    is_settled: bool
    is_new: bool


class Registry:
    """One project at the service, asked for and changed."""

    def __init__(self, abacus: Abacus, project: str, environment: str) -> None:
        self._abacus = abacus
        self.project = Project(abacus, project)
        self._environment = environment

    def find(self, definition: Definition) -> tuple[Registered | None, int]:
        """The tables of this very definition, None where there are none; and the version that they have or would get.

        Raises:
            NeedsHuman: a table of that name is not ours. Refusal, TryAgain: the service does not say.
        """
        for version in count(1):
            if version > MOST_VERSIONS:
                break
            table = table_name(definition.name, version)
            batches, merged = self.group(table + BATCHES), self.group(table)
            if batches is None and merged is None:
                return None, version
            mark = _mark(batches) if batches is not None else None
            if batches is None or (mark is None and batches.features):
                strange = table if batches is None else table + BATCHES
                raise NeedsHuman(
                    f"Abacus.AI has a table {strange} that Lodeline did not make",
                    remedy="Delete or rename it there, or give the group another name in the configuration",
                )
            if merged is not None and mark == definition.fingerprint:
                return _registered(table, version, batches, merged), version
            if mark is None or mark == definition.fingerprint:  # cut off amid its making
                return None, version
        raise NeedsHuman(f"{definition.name} has more than {MOST_VERSIONS} versions", remedy="Delete old tables there")

    def register(self, definition: Definition) -> tuple[Registered, list[Difference]]:
        """Make what is missing and mend what differs; what was done is told, and what could not be.

        Raises:
            NeedsHuman, Refusal, TryAgain: as :meth:`find`; called again it goes on.
        """
        found, version = self.find(definition)
        is_new = found is None
        if found is None:
            found = self._make(definition, version)
        done = []
        for difference in self.differences(definition, found):
            if difference.mend is not None:
                difference.mend()
            done.append(difference)
        return Registered(
            found.table, found.version, found.dataset_id, found.group_id, found.is_settled, is_new
        ), done  # fmt: skip

    def _make(self, definition: Definition, version: int) -> Registered:
        table = table_name(definition.name, version)
        if self.group(table + BATCHES) is None:
            # The upload that comes with it stays empty; the export cancels it and opens its own.
            self._abacus.call(
                f"making {table}{BATCHES}",
                lambda sdk: unless_there(
                    lambda: sdk.create_dataset_from_upload(
                        table + BATCHES, file_format="PARQUET", version_limit=VERSIONS_KEPT
                    )
                ),
            )
        batches = self._require(table + BATCHES)
        self._tag(batches, [f"owner:{OWNER}", f"definition:{definition.fingerprint}"])
        if self.group(table) is None:
            self._abacus.call(
                f"making {table}",
                lambda sdk: unless_there(
                    lambda: sdk.create_merge_feature_group(
                        batches.feature_group_id,
                        table,
                        LastNMergeConfig(num_versions=0),  # 0: all of them
                        definition.full_description,
                    )
                ),
            )
        return _registered(table, version, self._require(table + BATCHES), self._require(table))

    def online(self, definition: Definition, table: str, writer: str) -> str:
        """Id of the group ``<table>_online``, written row by row, keyed by entity and time; made where it is missing.

        ``writer`` is who streams to it: a tag of the group says so, since two would append each row twice.

        Raises:
            NeedsHuman: the table is not ours, or another writer's. Refusal, TryAgain: called again it goes on.
        """
        name = table + ONLINE
        group = self.group(name)
        if group is None:
            self._abacus.call(
                f"making {name}",
                lambda sdk: unless_there(
                    lambda: sdk.create_online_feature_group(name, RECORD, definition.full_description)
                ),
            )
            group = self._require(name)
        mark = _mark(group)
        if mark is None and not group.features:
            self._tag(group, [f"owner:{OWNER}", f"definition:{definition.fingerprint}"])
        elif mark != definition.fingerprint:
            raise NeedsHuman(
                f"Abacus.AI has a table {name} that Lodeline did not make for this definition",
                remedy="Delete or rename it there",
            )
        self._claim(group, writer)
        if not self.project.has(group.feature_group_id):
            self.project.add(name, group.feature_group_id)
        return str(group.feature_group_id)

    def _claim(self, group: Any, writer: str) -> None:
        """Have the group say that ``writer`` streams to it."""
        ours, name = f"{_WRITER}{writer}", group.table_name
        claims = _claims(group)
        if not claims:
            self._tag(group, [ours])
            claims = _claims(self._require(name))
            if len(claims) > 1 and min(claims) != ours:  # of two hosts that begin at once one gives way
                untag = methodcaller("remove_feature_group_tag", group.feature_group_id, ours)
                self._abacus.call(f"untagging {name}", untag)
        others = [claim for claim in claims if claim != ours]
        if others and min(claims) != ours:
            raise NeedsHuman(
                f"Another host, or this one before it lost its journal, streams to {name} at Abacus.AI: each row would "
                "be there twice",
                remedy=f"Let only one host stream; if it shall be this one, take the tag {others[0]} off there",
            )

    def differences(self, definition: Definition, found: Registered) -> Iterator[Difference]:
        """What is otherwise at the service than declared. Keys and types are known once it has data."""
        merged = self._require(found.table)
        group_id, table, call = merged.feature_group_id, found.table, self._abacus.call

        if (merged.description or "") != definition.full_description:
            yield Difference(
                table, "description", definition.full_description, merged.description or "",
                lambda: call(f"describing {table}",
                             lambda sdk: sdk.update_feature_group(group_id, definition.full_description)),
            )  # fmt: skip
        tags = self.tags(definition, found.version)
        missing = [tag for tag in tags if tag not in (merged.tags or [])]
        stale = [tag for tag in merged.tags or [] if _is_ours(tag) and tag not in tags]
        if missing or stale:

            def retag() -> None:
                self._tag(merged, missing)
                for tag in stale:
                    call(f"untagging {table}", methodcaller("remove_feature_group_tag", group_id, tag))

            yield Difference(table, "tags", _words(tags), _words(merged.tags or []), retag)
        if not self.project.has(group_id):
            yield Difference(
                table, "project", self.project.name, "not in it", lambda: self.project.add(table, group_id),
            )  # fmt: skip
        if merged.features:
            yield from self._differences_of_features(definition, merged)

    def _differences_of_features(self, definition: Definition, merged: Any) -> Iterator[Difference]:
        group_id, table, call = merged.feature_group_id, merged.table_name, self._abacus.call
        types = {feature.name: (feature.data_type or "").upper() for feature in merged.features}
        declared = definition.types
        for name in declared.keys() - types.keys():
            yield Difference(table, f"feature {name}", declared[name], "missing", None)
        wrong = {name: kind for name, kind in declared.items() if name in types and types[name] != kind}
        if wrong:
            schema = [{"name": name, "dataType": kind} for name, kind in wrong.items()]
            yield Difference(
                table, "types", _words(f"{n} {k}" for n, k in wrong.items()), _words(f"{n} {types[n]}" for n in wrong),
                lambda: call(f"setting types of {table}", lambda sdk: sdk.set_feature_group_schema(group_id, schema)),
            )  # fmt: skip
        keys = (RECORD, KNOWN_AT, [definition.lookup])
        found = (merged.primary_key, merged.update_timestamp_key, merged.lookup_keys or [])
        if found != keys and declared.keys() <= types.keys():
            yield Difference(
                table, "keys", str(keys), str(found),
                lambda: call(f"setting keys of {table}",
                             lambda sdk: sdk.set_feature_group_indexing_config(group_id, *keys)),
            )  # fmt: skip
        tagged = merged.feature_tags or {}
        for column in definition.columns:
            tag = f"unit:{column.sent.unit}"
            there = [other for other in tagged.get(column.name, []) if other.startswith("unit:")]
            if column.name in types and column.sent.unit and there != [tag]:

                def retag(name: str = column.name, tag: str = tag, there: list[str] = there) -> None:
                    if tag not in there:
                        call(f"tagging {name} of {table}", lambda sdk: sdk.add_feature_tag(group_id, name, tag))
                    for other in there:
                        if other != tag:
                            untag = methodcaller("remove_feature_tag", group_id, name, other)
                            call(f"untagging {name} of {table}", untag)

                yield Difference(table, f"unit of {column.name}", tag, _words(there), retag)

    def tags(self, definition: Definition, version: int) -> list[str]:
        """Tags that a group has."""
        return [
            f"owner:{OWNER}",
            f"version:{version}",
            f"definition:{definition.fingerprint}",
            f"view:{definition.view.stored_name}",
            f"environment:{self._environment}",
        ]

    def _tag(self, group: Any, tags: list[str]) -> None:
        for tag in tags:
            if tag not in (group.tags or []):
                self._abacus.call(
                    f"tagging {group.table_name}",
                    methodcaller("add_feature_group_tag", group.feature_group_id, tag),
                )

    def group(self, table: str) -> Any:
        """The group of that table as the service describes it, or None.

        Raises:
            Refusal, NeedsHuman, TryAgain: the service does not say.
        """
        try:
            return self._abacus.call(
                f"looking for {table}", lambda sdk: sdk.describe_feature_group_by_table_name(table)
            )
        except Refusal as refusal:
            if refusal.is_missing:
                return None
            raise

    def _require(self, table: str) -> Any:
        return self._abacus.call(f"looking at {table}", lambda sdk: sdk.describe_feature_group_by_table_name(table))


def table_name(name: str, version: int) -> str:
    """Table of a group's version: the first has its plain name."""
    return name if version == 1 else f"{name}_v{version}"


def _registered(table: str, version: int, batches: Any, merged: Any) -> Registered:
    return Registered(table, version, batches.dataset_id, merged.feature_group_id, bool(merged.features), False)


def _mark(group: Any) -> str | None:
    for tag in group.tags or []:
        if tag.startswith("definition:"):
            return str(tag).partition(":")[2]
    return None


def _claims(group: Any) -> list[str]:
    return [tag for tag in group.tags or [] if tag.startswith(_WRITER)]


def _is_ours(tag: str) -> bool:
    return tag.partition(":")[0] in ("owner", "version", "definition", "view", "environment")


def _words(texts: Any) -> str:
    return ", ".join(texts) or "none"


@contextlib.contextmanager
def connected(
    settings: AbacusSettings, endpoints: Endpoints, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Abacus, Registry]]:
    """The account of the configuration, and its project."""
    general = settings.general
    abacus = Abacus(general.api_key, endpoints, settings.data_ingestion, stop=stop)
    try:
        yield abacus, Registry(abacus, general.project_id, general.environment)
    finally:
        abacus.close()
