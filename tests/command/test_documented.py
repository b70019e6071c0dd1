"""Command lines of README.md and docs/*.md do what the page says: they run, and exit as promised, on a host with data.

tests/docs/ways.py says what a new line needs.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from tests.docs import ways
from tests.docs.documented import Documented
from tests.docs.host import NOW, DocumentedHost, documented_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> DocumentedHost:
    return documented_host(tmp_path_factory.mktemp("documented"))


@pytest.mark.parametrize("documented", ways.to_run(), ids=lambda one: one.line)
def test_it_runs(documented: Documented, host: DocumentedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(re.search(pattern, documented.line) for pattern in ways.CHANGES):
        host = host.copied(tmp_path / "host")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.time", lambda: float(NOW))
    Path("labels.csv").write_text("miner_id,time\nminer_0001,2026-11-25T12:40:00Z\n")
    words = shlex.split(ways.folders(ways.as_run(documented.line), host.config, host.data, tmp_path / "new"))
    variables = dict(words.pop(0).split("=", 1) for word in list(words) if re.match(r"[A-Z_]+=", word))
    ran = CliRunner(env={**host.environment, **variables}).invoke(app, words[1:])
    expected = next((code for pattern, code, _ in ways.EXIT_CODES if re.match(pattern, documented.line)), 0)
    assert ran.exit_code == expected, f"{documented.page}: {documented.line}\n{ran.output}"
    assert "Traceback" not in ran.output
