"""Every command line in README.md and docs/*.md is one that somebody could type, and is run by a test.

Those that run on a host of files alone are run by tests/command/test_documented.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deployments.settings import unknown_variables
from tests.docs import ways
from tests.docs.documented import PAGES, ROOT, commands_of, documented


def test_every_line_has_a_way_to_be_run() -> None:
    faults = [f"{one.page}: {one.line}: {why}" for one in documented() if (why := ways.fault_of(one.line))]
    assert not faults, "tests/docs/ways.py says what to do for a new line in a document:\n" + "\n".join(faults)


def test_no_way_is_left_over() -> None:
    lines = [one.line for one in documented()]
    used = {pattern for pattern, _ in ways.ELSEWHERE for line in lines if re.match(pattern, line)}
    assert [pattern for pattern, _ in ways.ELSEWHERE if pattern not in used] == []
    assert [p for p, _ in ways.STAND_INS if not any(re.search(p, line) for line in lines)] == []
    assert [p for p, _, _ in ways.EXIT_CODES if not any(re.match(p, one.line) for one in ways.to_run())] == []


def test_a_deployment_that_is_named_exists() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    there = {f"{one['entrypoint'].rpartition('.')[2].replace('_', '-')}/{one['name']}" for one in deployments}
    named = {match[1] for one in documented() if (match := re.search(r"deployment run (\S+)", one.line))}
    assert named
    assert named <= there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    """Files that it links, and variables that it names."""
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
    names = set(re.findall(r"`(LODELINE_[A-Z0-9_]*[A-Z0-9])`", text))
    assert unknown_variables(dict.fromkeys(names, "")) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("```\nlodeline up    # collect\nup: polled 15\n```\n", ["lodeline up"]),
        ("```yaml\nlodeline up\n```\n", []),
        ("Do:\n\n    lodeline audit \\\n      --verify   # chain\n    said so\n", ["lodeline audit --verify"]),
        ("| `lodeline disk [run\\|list ...]` | x |", ["lodeline disk", "lodeline disk run", "lodeline disk list"]),
        ("`lodeline report --as\nhtml` and `lodeline`, `lodeline.toml`", ["lodeline report --as html"]),
        ("`A=b lodeline check`, `curl -d '{}' X`, `lodeline status [--json]`",
         ["A=b lodeline check", "curl -d '{}' X", "lodeline status", "lodeline status --json"]),
    ],
)  # fmt: skip
def test_what_a_page_shows(text: str, lines: list[str]) -> None:
    assert commands_of(text) == lines


@pytest.mark.parametrize(
    "line", ["lodeline repoort", "lodeline status --mienr x", "rm -r lake", "lodeline audit --from"]
)
def test_what_cannot_be_typed_is_found(line: str) -> None:
    assert ways.fault_of(line)
