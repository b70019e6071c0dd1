"""Reading of one file: as YAML itself, but with lines; and never anything but a fault, whatever is in the file."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage.configuration.document import Document, read_document

FILE_SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def read(tmp_path: Path, content: str | bytes, **known: str) -> Document:
    file = tmp_path / "file.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(file, known.get)


def escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return {key: escaped(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(value=st.dictionaries(texts, values, max_size=5), flow=st.booleans())
@FILE_SETTINGS
def test_what_is_written_is_read(tmp_path: Path, value: dict[str, Any], flow: bool) -> None:
    written = yaml.safe_dump(escaped(value), default_flow_style=flow, allow_unicode=True)
    document = read(tmp_path, written)
    assert document.faults == []
    assert document.value == value


@given(value=st.dictionaries(texts.filter(bool), values, min_size=1, max_size=5))
@FILE_SETTINGS
def test_every_key_knows_its_line(tmp_path: Path, value: dict[str, Any]) -> None:
    parts = [yaml.safe_dump({key: escaped(item)}, allow_unicode=True) for key, item in value.items()]
    document = read(tmp_path, "".join(parts))
    line = 1
    for key, part in zip(value, parts, strict=True):
        assert document.lines[(key,)] == line
        line += part.count("\n")


@given(content=st.binary(max_size=60) | st.text("{}[]:-&*!|>'\"%@`,# \n\ta0$?<", max_size=60).map(str.encode))
@example(content=b"[" * 3_000)
@example(content=b"a: " * 500)
@example(content=b"&a [*a]")
@example(content=b"<<: x")
@example(content=b"? [a]\n: b")
@example(content=b"a: !!int x")
@example(content=b"a: !!timestamp 2024-99-99")
@example(content=b"a\x00b")
@example(content=b"--- a\n--- b")
@FILE_SETTINGS
def test_no_content_raises(tmp_path: Path, content: bytes) -> None:
    document = read(tmp_path, content)
    assert all(str(fault).startswith(str(tmp_path)) for fault in document.faults)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME $ $$", "$NAME $ $$"),
        ("${NUMBER}", "0815"),
        ("${NESTED}", "${NAME}"),
    ],
)
def test_substitution(tmp_path: Path, written: str, read_as: str) -> None:
    document = read(tmp_path, f"key: {written}", NAME="value", NUMBER="0815", NESTED="${NAME}")
    assert document.value == {"key": read_as}


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (fault,) = read_document(tmp_path / "none.yaml", lambda _name: None).faults
    assert str(fault) == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"
