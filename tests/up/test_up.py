"""``lodeline up`` as a user runs it: what it refuses, and that it ends all that it began.

test_up_with_influx.py and tests/gameday let it work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployments.up.ports import free_port
from tasks.sources.standing import StandingsFile
from tests.up.orphans import processes_of

LODELINE = [sys.executable, "-c", "from deployments.command import main; main()"]
GIVES_UP_S = 400


class Up:
    """One ``lodeline up`` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.data = folder / "data"
        ports = ["--page-port", str(free_port()), "--prefect-port", str(free_port())]
        root = str(Path(__file__).parents[2])
        environ = {**os.environ, "LODELINE_DATA_DIRECTORY": str(self.data), "PYTHONPATH": root, **variables}
        del environ["PYTEST_CURRENT_TEST"]  # the page's library would take itself for tested
        self.process = subprocess.Popen(
            [*LODELINE, "up", *ports, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environ,
        )  # fmt: skip
        self.lines: list[str] = []

    def read_until(self, *words: str) -> None:
        """Read on until each of ``words`` was in a line."""
        assert self.process.stdout is not None
        missing = set(words)
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            missing -= {word for word in missing if word in line}
            if not missing:
                return
        pytest.fail(f"no line has {' nor '.join(missing)}:\n{self.text}")

    def await_answers(self, lane: str, *sources: str) -> None:
        """Wait until each of ``sources`` has answered all that it is asked: a busy machine takes some ticks."""
        give_up = time.monotonic() + GIVES_UP_S
        while True:
            found = StandingsFile(self.data / "state", lane).read()
            told = [one for one in found if one.source in sources]
            if set(sources) <= {one.source for one in told} and all(one.success_slot for one in told):
                return
            assert time.monotonic() < give_up, found
            time.sleep(0.1)

    def end_now(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        out, _ = self.process.communicate(timeout=GIVES_UP_S)
        self.lines += out.splitlines()
        return self.process.returncode

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def up(tmp_path):
    started: list[Up] = []

    def start(*arguments: str, **variables: str) -> Up:
        started.append(Up(tmp_path, *arguments, **variables))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.mark.prefect
@pytest.mark.skipif(sys.platform != "linux", reason="looks for orphans in /proc")
def test_asked_to_end_while_it_starts_it_ends_all(up):
    one = up("--miners", "2", "--miners-only")
    one.read_until("Waiting for the Prefect server")
    assert processes_of(one.data)
    one.end_now()
    assert "Simulated: miners. Their faults: http://127.0.0.1:" in one.text
    assert "Asked to end before all was started." in one.text
    assert processes_of(one.data) == []


@pytest.mark.prefect
def test_a_server_that_cannot_start_is_told_with_its_log(up):
    one = up(
        "--for", "5", PREFECT_SERVER_DATABASE_CONNECTION_URL="", LODELINE_PREFECT__API_URL="http://127.0.0.1:9/api"
    )
    one.read_until("Waiting for the Prefect server at http://127.0.0.1:9/api")
    one.process.send_signal(signal.SIGTERM)
    assert one.end() == 1
    assert json.loads(one.lines[-1])["points_accepted"] == 0


def test_a_wrong_configuration_starts_nothing(up, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text("miner: []\n")
    one = up("--config", str(tmp_path / "config"))
    assert one.end() == 2
    assert "data_collection_config.yaml:1" in one.text
    assert "miners" in one.text
    assert not (one.data / "logs").exists()


def test_two_in_one_directory_are_refused(up, tmp_path):
    from storage.spool.lock import try_lock

    (tmp_path / "data" / "locks").mkdir(parents=True)
    lock = try_lock(tmp_path / "data" / "locks" / "up", "process 1")
    assert lock is not None
    one = up()
    assert one.end() == 2
    assert "another lodeline up (process 1) runs in" in one.text
    os.close(lock)


def test_a_port_in_use_is_said_and_all_is_ended(up):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        one = up("--miners", "1", "--prefect-port", str(server.getsockname()[1]))
        assert one.end() == 1
    assert "for the Prefect server is in use" in one.text
    if sys.platform == "linux":
        give_up = time.monotonic() + GIVES_UP_S
        while processes_of(one.data):
            assert time.monotonic() < give_up
            time.sleep(0.1)
