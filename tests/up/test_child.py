"""Children of the supervisor: ended in order, noticed when they end by themselves, never orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.up.child import RESTARTS, WITHIN_S, Child, ChildEnded
from deployments.up.ports import choose_port, free_port
from storage.errors import NeedsHuman

SLEEPER = ["-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = ["-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"]
PARENT = [
    "-c",
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)",
]


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that nobody reaps here counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def start(tmp_path):
    started: list[Child] = []

    def start(arguments: list[str], name: str = "child") -> Child:
        started.append(Child(name, arguments, os.environ, tmp_path))
        return started[-1]

    yield start
    for child in started:
        child.kill()


async def test_a_child_is_asked_first(start):
    child = start(SLEEPER)
    until(child.log.read_text)
    assert await child.stop(60)
    assert not child.alive


async def test_a_child_that_does_not_listen_is_killed(start):
    child = start(STUBBORN)
    until(child.log.read_text)
    assert not await child.stop(0.2)
    assert not child.alive


async def test_what_a_child_started_ends_with_it(start):
    child = start(PARENT)
    until(lambda: child.log.read_text().endswith("\n"))
    grandchild = int(child.log.read_text())
    await child.stop(60)
    until(lambda: is_gone(grandchild))


def test_a_child_that_ended_is_told_with_its_last_lines(start):
    child = start(["-c", "print('one'); print('two'); raise SystemExit(3)"], "page")
    until(lambda: not child.alive)
    with pytest.raises(ChildEnded, match=r"page ended with exit code 3(.|\n)*\| one\n  \| two"):
        child.check()


def test_a_child_that_was_killed_is_told(start):
    child = start(SLEEPER)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.alive)
    with pytest.raises(ChildEnded, match="was ended by SIGKILL"):
        child.check()


def test_a_child_is_started_again_a_few_times(start):
    child = start(["-c", "raise SystemExit(3)"])
    for _ in range(RESTARTS):
        until(lambda: not child.alive)
        child.restart()
    until(lambda: not child.alive)
    with pytest.raises(ChildEnded):
        child.restart()


def test_what_ends_now_and_then_is_always_started_again(start, monkeypatch):
    """Else the fourth page that was killed for want of memory within a year would end all."""
    now = [0.0]
    monkeypatch.setattr("deployments.up.child.time.monotonic", lambda: now[0])
    child = start(["-c", "raise SystemExit(3)"])
    for _ in range(2 * RESTARTS):
        child._process.wait()
        child.restart()
        now[0] += WITHIN_S / RESTARTS + 1.0


def test_the_log_of_the_start_before_is_kept(start, tmp_path):
    for word in ("first", "second"):
        child = start(["-c", f"print('{word}')"])
        until(lambda: not child.alive)  # noqa: B023 - called at once
    assert (tmp_path / "child.log").read_text() == "second\n"
    (before,) = tmp_path.glob("child.*.log")
    assert before.read_text() == "first\n"


def test_the_log_of_a_day_is_closed_while_the_child_goes_on(start, tmp_path):
    child = start(["-c", "import sys; print('first', flush=True); sys.stdin.close(); import time; time.sleep(600)"])
    until(lambda: (tmp_path / "child.log").read_text() == "first\n")
    child.close_log(1795478400)
    assert (tmp_path / "child.2026-11-24.log").read_text() == "first\n"
    assert (tmp_path / "child.log").read_text() == ""
    assert child.alive


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_child_ends_when_its_supervisor_is_killed(tmp_path):
    program = (
        "import os, sys, time; from pathlib import Path; from deployments.up.child import Child\n"
        f"child = Child('child', {SLEEPER!r}, os.environ, Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        until((tmp_path / "child.log").read_text)
        supervisor.kill()
    until(lambda: is_gone(pid))


def test_ports():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert choose_port(None, taken, "the page") != taken
        with pytest.raises(NeedsHuman, match=f"port {taken} for the page is in use"):
            choose_port(taken, 1, "the page")
    free = free_port()
    assert choose_port(None, free, "the page") == free
    assert choose_port(free, 1, "the page") == free
