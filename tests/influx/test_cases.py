"""The table of cases in README.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lake.test_cases import names_in

TABLE = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| .* \| `(.+)::(.+)` \|$", TABLE, re.MULTILINE)


def test_every_case_has_its_test() -> None:
    assert {int(number) for number, _, _ in ROWS} == set(range(1, 21))
    for number, file, name in ROWS:
        assert name in names_in(file), f"case {number}: {name} is not in {file}"
