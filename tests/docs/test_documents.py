"""Documents that are made from the code are the ones that the code makes, and nothing is left out of them."""

import re
import tomllib
from pathlib import Path

import pytest

from deployments.command import COMMANDS
from deployments.command_reference import DOCUMENT as COMMANDS_DOCUMENT
from deployments.command_reference import command_reference
from deployments.configuration_reference import DOCUMENT as CONFIGURATION
from deployments.configuration_reference import rendered, settings_of
from deployments.data_dictionary import DOCUMENT as DICTIONARY
from deployments.data_dictionary import data_dictionary
from deployments.metrics_reference import DOCUMENT as METRICS_DOCUMENT
from deployments.metrics_reference import metrics_reference
from deployments.settings import FURTHER_VARIABLES, MODELS, unknown_variables
from storage.configuration.variables import variable_names
from storage.declaration import BUCKETS, MEASUREMENTS
from storage.settings import PREFIX
from tasks.health.metrics import METRICS

ROOT = Path(__file__).parents[2]


def test_the_data_dictionary_is_fresh() -> None:
    assert DICTIONARY.read_text() == data_dictionary(), "run make docs"


def test_the_configuration_reference_is_fresh() -> None:
    document = CONFIGURATION.read_text()
    assert document == rendered(document), "run python -m deployments.configuration_reference"


def test_the_command_reference_is_fresh() -> None:
    assert COMMANDS_DOCUMENT.read_text() == command_reference(), "run python -m deployments.command_reference"


def test_the_metrics_reference_is_fresh() -> None:
    document = METRICS_DOCUMENT.read_text()
    assert document == metrics_reference(), "run python -m deployments.metrics_reference"
    assert [one.told_name for one in METRICS.values() if f"| `{one.told_name}`" not in document] == []


def test_every_measurement_field_tag_and_bucket_is_in_the_dictionary() -> None:
    document = DICTIONARY.read_text()
    sections = {part.split("\n", 1)[0]: part for part in document.split("\n### ")[1:]}
    for measurement in MEASUREMENTS.values():
        section = sections[measurement.name]
        for name in (*measurement.tag_names, *measurement.field_by_name):
            assert f"| `{name}` |" in section, f"{measurement.name}.{name}"
    for bucket in BUCKETS:
        assert f"| `{bucket}` |" in document


@pytest.mark.parametrize("prefix", MODELS)
def test_every_setting_is_documented_and_has_a_meaning(prefix: str) -> None:
    document = CONFIGURATION.read_text()
    rows = settings_of(MODELS[prefix])
    shown = {row.key: PREFIX + row.key.replace(".", "__").upper() if prefix == PREFIX else row.key for row in rows}
    assert [key for key, name in shown.items() if f"| `{name}` |" not in document] == []
    assert [row.key for row in rows if not row.meaning] == []
    assert {".".join(map(str, path)) for path in variable_names(MODELS[prefix], prefix).values()} <= set(shown)


def test_every_further_variable_is_documented() -> None:
    document = CONFIGURATION.read_text()
    assert [name for name in FURTHER_VARIABLES if f"| `{name}` |" not in document] == []


def test_every_variable_that_code_reads_is_known() -> None:
    """Else a host that sets it is told that its configuration is wrong."""
    read = re.compile(
        r"""(?:environ(?:\.get\(|\[)|getenv\()["'](LODELINE_\w+)|\$\{?(LODELINE_\w+)|envvar="(LODELINE_\w+)"""
    )
    folders = ("deployments", "flows", "tasks", "storage", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".yaml")]
    found = {name for file in files for names in read.findall(file.read_text()) for name in names if name}
    assert unknown_variables(dict.fromkeys(found, "")) == []
    assert {"LODELINE_CONFIG", "LODELINE_REQUIRE_SERVICES", "LODELINE_GRAFANA_INFLUX_URL"} <= found


def test_every_command_is_documented() -> None:
    document = COMMANDS_DOCUMENT.read_text()
    assert [c.__name__ for c in COMMANDS if f"## lodeline {c.__name__}\n" not in document] == []


def test_every_dependency_has_its_reason_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {("Core", _name(text)) for text in project["project"]["dependencies"]}
    for extra, texts in project["project"]["optional-dependencies"].items():
        named |= {(extra, _name(text)) for text in texts}
    named |= {("Development", _name(text)) for text in project["dependency-groups"]["dev"]}
    assert _explained((ROOT / "docs" / "dependencies.md").read_text()) == named


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _explained(document: str) -> set[tuple[str, str]]:
    explained = set()
    for part in document.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        rows = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("|")][2:]
        for *place, package, reason in rows:
            assert reason.strip(), package
            explained.add((place[0].strip() if place else title, package.strip()))
    return explained
