"""Rows of a group as files, and back: what a rejected row is told as is what was sent."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tasks.abacus.definition import definitions_of
from tasks.abacus.rows import file_bytes, file_rows, group_rows
from tests.abacus.conftest import settings, view_rows


@pytest.mark.parametrize("file_format", ["PARQUET", "CSV", "JSON"])
def test_a_row_of_a_file_is_what_was_put_in(file_format: str) -> None:
    (definition,) = definitions_of(settings().feature_groups)
    rows = view_rows(3)
    texts = {"miner_id": ["007", "", 'a,\n"b'], "model": ["19", None, "S19"]}
    for name, values in texts.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values, pa.string()))
    content = file_bytes(group_rows(definition, rows)[0], file_format)
    back = file_rows(content, file_format, [0, 1, 2], definition)
    assert [row["miner_id"] for row in back] == texts["miner_id"]
    assert [row["model"] for row in back] == texts["model"]
    assert [row["accepted_shares"] for row in back] == [0, 10, 20]
    assert str(back[0]["timestamp"]).startswith("2025-10-09T09:00:00")
