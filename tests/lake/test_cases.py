"""The table of cases in README.md names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| .* \| (.+) \|$", TABLE, re.MULTILINE)


def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return functions | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_every_case_has_its_test():
    assert {int(number) for number, _ in ROWS} == set(range(1, 19))
    for number, place in ROWS:
        file, _, name = place.strip("`").partition("::")
        assert name in names_in(file), f"case {number}: {place} is not there"
