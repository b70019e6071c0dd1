"""However a file is wrong, what is secret in it is in no message."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import field_validator

from deployments.settings import load_settings
from storage.configuration import Section, load
from storage.errors import ConfigurationError

_COMPLETE = Path(__file__).parent / "complete" / "data_collection_config.yaml"
_MARK = "s3cr3t"

secret_texts = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=20).map(
    lambda text: f"{_MARK}{text}{_MARK}"
)
"""Printable secrets; each holds the mark, so that a piece of one is found as well."""


def told(folder: Path, environ: dict[str, str]) -> str:
    """Everything an error shows; nothing where there is none."""
    try:
        load_settings(folder, environ)
    except ConfigurationError as error:
        return f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    return ""


def paths_in(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, item in items for inner in paths_in(item, (*path, key)))]


PATHS = [path for path in paths_in(yaml.safe_load(_COMPLETE.read_text())) if path]


@given(path=st.sampled_from(PATHS), secret=secret_texts)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_value_put_in_at_any_place_is_never_told(tmp_path: Path, path: tuple[str | int, ...], secret: str) -> None:
    content = yaml.safe_load(_COMPLETE.read_text())
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "x${SECRET}y"
    (tmp_path / _COMPLETE.name).write_text(yaml.safe_dump(content))
    environ = {"SECRET": secret, "MINER_PASSWORD": secret, "PROHASHING_API_KEY": secret, "SITE": "s", "INTERVAL": "60"}
    assert _MARK not in told(tmp_path, environ)


@given(secret=secret_texts, kind=st.sampled_from(["password", "api_key", "username", "pasword"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_literal_secret_is_never_told(tmp_path: Path, secret: str, kind: str) -> None:
    """Written raw, so that it may well be broken YAML: an alias, a tag, an open quote, a comment."""
    lines = ["miners:", "  - id: miner_01", "    ip: 192.168.1.1", f"    {kind}: {secret}", "    polling: none"]
    (tmp_path / _COMPLETE.name).write_text("\n".join(lines))
    assert _MARK not in told(tmp_path, {})


@pytest.mark.parametrize("before", ["*", "!", "&", "%", "@", "`", "'", '"', "|", ">", "{", "[", "? ", "- ", "!!int "])
@pytest.mark.parametrize("after", ["", "!x", " a: b", "}"])
def test_secrets_that_yaml_stumbles_over(tmp_path: Path, before: str, after: str) -> None:
    line = f"    password: {before}{_MARK}{after}"
    lines = ["miners:", "  - id: miner_01", line, "  - id: miner_02", line]
    (tmp_path / _COMPLETE.name).write_text("\n".join(lines))
    assert _MARK not in told(tmp_path, {})


class Talkative(Section):
    """A section whose check repeats what it was given."""

    url: str

    @field_validator("url")
    @classmethod
    def _refuse(cls, url: str) -> str:
        raise ValueError(f"{url} is no address")


def test_a_value_put_in_is_taken_out_of_what_a_check_says(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("url: http://${HOST}")
    with pytest.raises(ConfigurationError) as caught:
        load(Talkative, file, {"HOST": _MARK}.get)
    assert caught.value.faults == [f"{file}:1: url: http://${{HOST}} is no address"]


def test_secret_variables_are_never_told() -> None:
    environ = {
        "LODELINE_INFLUX__URL": f"http://{_MARK}:{_MARK}@influx:8086",
        "LODELINE_INFLUX__TOKEN": _MARK,
        "LODELINE_INFLUX__PASSWORD": _MARK,
        "LODELINE_PAGE__PASSWORD": _MARK,
        "LODELINE_COLLECTION__PROHASHING__API_KEY": _MARK,
        "LODELINE_COLLECTION__MINERS": f'[{{"id": 1, "password": {{"{_MARK}": 1}}}}, "{_MARK}"]',
        "LODELINE_PAGE__PASSWRD": _MARK,
    }
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, environ)
    assert _MARK not in f"{caught.value} {caught.value!r}"
    assert any("LODELINE_INFLUX__URL" in fault for fault in caught.value.faults)
