"""A bar where stderr is a terminal, a real pseudo-terminal; none in a pipe and none with --json."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.command.progress import progress
from storage.progress import told


def written_to(terminal: int) -> str:
    """What was written to a pseudo-terminal whose other end is closed."""
    found = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # so Linux tells the end
            return found.decode()
        found += part


def shown(monkeypatch: pytest.MonkeyPatch, *, as_json: bool = False) -> str:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with progress("reading", as_json=as_json) as show:
            show(1, 4, "2026-11-28")
            told(4, 4, "the end")
        terminal.flush()
    found = written_to(ours)
    os.close(ours)
    return found


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(monkeypatch)
    assert "reading" in found
    assert "100%" in found
    assert "the end" in found
    assert found.rstrip().endswith("\x1b[2K"), "it is gone afterwards"


def test_json_is_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, as_json=True) == ""


def test_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress("reading") as show:
        show(1, 2, "half")
        told(2, 2)
    assert pipe.getvalue() == ""


def test_of_a_command_only_stderr_has_it(tmp_path: Path) -> None:
    """The whole command, stdout in a pipe and stderr on a terminal."""
    asked = ["export", "miner_telemetry", "--from", "2026-01-01", "--to", "2026-01-02", "--fields", "power_w"]
    command = [sys.executable, "-c", "from deployments.command import main; main()", *asked, "-o"]
    command.append(str(tmp_path / "x.csv"))
    environ = {**os.environ, "LODELINE_DATA_DIRECTORY": str(tmp_path / "data"), "TERM": "xterm"}
    environ.pop("LODELINE_CONFIG", None)
    ours, theirs = pty.openpty()
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environ, text=True, check=False)
    os.close(theirs)
    bar = written_to(ours)
    os.close(ours)
    assert run.returncode == 0, bar
    assert run.stdout == f"{tmp_path / 'x.csv'}: 0 rows, {(tmp_path / 'x.csv').stat().st_size} bytes\n"
    assert "exporting" in bar
    assert "100%" in bar
