"""Every key of data_retention_config.yaml, and the test that shows its effect. A key without one fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from storage.configuration.words import types_at
from storage.retention_settings import BUCKET_KEYS, FILE_NAME, RetentionSettings

TESTS = Path(__file__).parents[1]
TEMPLATE = Path(__file__).parents[3] / "shared" / "config-templates" / FILE_NAME

TABLES = {
    "retention_days": "retention/test_effects.py::test_the_days_of_a_class_are_those_of_its_bucket_and_of_no_other",
    "storage_format": "retention/test_effects.py::test_a_form_of_files_that_does_not_exist_is_refused",
    "compression": "lake/test_layout.py::test_files_are_compressed_as_the_key_says",
    "partition_by": "lake/test_layout.py::test_the_finest_part_of_time_is_the_partition",
    "aggregation_interval": "retention/test_effects.py::test_a_tier_has_its_own_interval_and_no_other",
}
"""Keys of a class of tables."""

LOGS = {
    "retention_days": "logs/test_log_files.py::test_days_of_the_configuration_decide_what_is_deleted",
    "storage_format": "retention/test_effects.py::test_a_form_of_files_that_does_not_exist_is_refused",
    "compression": "logs/test_log_files.py::test_without_compression_files_stay_as_they_are",
}

OTHERS = {
    "general.timezone": "flows/test_schedules.py::test_the_archive_runs_when_the_configuration_says",
    "general.storage_base_path": "retention/test_effects.py::test_the_lake_moves_where_the_configuration_says",
    "general.archive_base_path": "command/test_archive.py::test_from_full_lake_to_restored_rows",
    "raw_data.miner_payloads.retention_days": (
        "lake/test_maintenance.py::test_what_is_older_than_its_retention_goes_where_that_is_asked_for"
    ),
    "archiving.schedule": "flows/test_schedules.py::test_the_archive_runs_when_the_configuration_says",
    "archiving.parallel_jobs": "retention/test_effects.py::test_so_many_tables_are_archived_at_one_time",
    "archiving.verification_enabled": "retention/test_effects.py::test_copies_are_compared_where_verification_is_on",
    "archiving.notification_email": "retention/test_effects.py::test_who_is_to_be_told_gets_a_mail_and_nobody_else",
}


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Dotted keys of a model, sections resolved."""
    for name in model.model_fields:
        sections = [t for t in types_at(model, (name,)) if isinstance(t, type) and issubclass(t, BaseModel)]
        if sections:
            yield from keys_of(sections[0], f"{before}{name}.")
        else:
            yield before + name


def shown_by(key: str) -> str | None:
    """Where the effect of ``key`` is shown; None: nowhere."""
    section, _, last = key.rpartition(".")
    if key in OTHERS:
        return OTHERS[key]
    if section.startswith("system_data.logs."):
        return LOGS.get(last)
    return TABLES.get(last) if section in BUCKET_KEYS.values() else None


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the tests of a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("key", list(keys_of(RetentionSettings)))
def test_every_key_has_a_test_that_shows_its_effect(key: str) -> None:
    place = shown_by(key)
    assert place is not None, f"{key}: write a test that shows its effect, and name it here"
    file, _, name = place.partition("::")
    assert name in names_in(file), f"{key}: {place} is not there"


def test_nothing_is_listed_that_is_no_key() -> None:
    keys = set(keys_of(RetentionSettings))
    assert set(OTHERS) <= keys
    assert len(keys) > 60


def test_every_key_of_the_template_is_a_key() -> None:
    if not TEMPLATE.is_file():
        pytest.skip(f"{TEMPLATE} is not here")
    document = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))

    def leaves(part: object, before: str = "") -> Iterator[str]:
        if isinstance(part, dict):
            for name, inner in part.items():
                yield from leaves(inner, f"{before}.{name}" if before else name)
        else:
            yield before

    assert set(leaves(document)) <= set(keys_of(RetentionSettings))
