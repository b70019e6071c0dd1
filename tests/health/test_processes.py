"""Which processes are Lodeline's, and what they take. The numbers are compared with what Python says of itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.health.processes import ProcessState, kind_of, processes, usage
from tasks.shift.baton import Baton

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux only")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/v/bin/python -m prefect.engine", "flows"),
        ("/v/bin/python -m prefect.flow_engine", "flows"),
        ("/v/bin/python -m prefect worker start --pool lodeline --type process", "worker"),
        ("/v/bin/python /v/bin/prefect worker start --pool lodeline", "worker"),
        ("/v/bin/python -m prefect server start --host 127.0.0.1", "server"),
        ("/v/bin/python -m uvicorn --app-dir /v --factory prefect.server.api.server:create_app", "server"),
        ("/v/bin/python -m deployments.page --port 0", "page"),
        ("/v/bin/python /v/bin/lodeline page", "page"),
        ("/v/bin/python /v/bin/lodeline up --miners 5", "up"),
        ("/v/bin/python /v/bin/lodeline status", None),
        ("/v/bin/python -m deployments.farm --miners 5", None),
        ("/bin/grep prefect server", None),
        ("vi prefect.yaml", None),
        ("", None),
    ],
)
def test_a_process_is_known_by_how_it_was_started(command: str, kind: str | None) -> None:
    assert kind_of([*command.split(" "), ""]) == kind


def one(pid: int, cpu_s: float, *, began: int = 1, kind: str = "flows", pss: int | None = 50) -> ProcessState:
    return ProcessState(pid, began, kind, cpu_s, rss=100, pss=pss, open_files=7, threads=3)


def test_usage_adds_up_by_kind() -> None:
    before = [one(1, 10.0), one(2, 3.0), one(9, 5.0, kind="page")]
    # 1 took 30 s; 2 has gone and its number is another's, which took 6 s since it began; 3 is new
    now = [one(1, 40.0), one(2, 6.0, began=8), one(3, 24.0), one(9, 5.0, kind="page", pss=None)]
    flows, page = usage(now, before, 60.0)
    assert (flows.kind, flows.processes, flows.cpu_cores) == ("flows", 3, 1.0), "(30 + 6 + 24) s in 60 s"
    assert (flows.rss, flows.pss, flows.open_files, flows.threads) == (300, 150, 21, 9)
    assert (page.kind, page.cpu_cores, page.pss) == ("page", 0.0, None)
    assert usage(now, None, 0.0)[0].cpu_cores is None


@LINUX
def test_a_shift_is_known_by_its_lock(tmp_path: Path) -> None:
    # It looks like a worker, and so it would be counted as one if it did not hold the lock of a shift.
    code = (
        "import asyncio, sys; from pathlib import Path; from tasks.shift.baton import Baton\n"
        "async def main():\n"
        f"    async with Baton(Path({str(tmp_path)!r}), 'miners').held():\n"
        "        print('held', flush=True); sys.stdin.read()\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", code, "-m", "prefect", "worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "held\n"
        assert Baton(tmp_path, "miners").holder == child.pid
        (found,) = [one for one in processes(tmp_path) if one.pid == child.pid]
        child.stdin.close()
    assert found.kind == "shift-miners"
    usage_of_child = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.cpu_s <= usage_of_child.ru_utime + usage_of_child.ru_stime + 0.02
    assert 2**20 < found.rss <= 1024 * usage_of_child.ru_maxrss
    assert found.pss is None or found.pss <= found.rss
    assert found.open_files is not None
    assert 3 < found.open_files < 50
    assert found.threads >= 1


@LINUX
def test_processes_of_others_are_not_looked_at(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    ours = proc / str(os.getpid())
    ours.mkdir(parents=True)
    (ours / "cmdline").write_text("python\0-m\0prefect\0worker\0start\0")
    (ours / "stat").write_text(f"{os.getpid()} (a) b (c) S {' '.join(['1'] * 40)}")
    (proc / "999999").mkdir()  # it has ended: nothing to be read any more
    (found,) = processes(tmp_path, proc=proc)
    assert (found.pid, found.pss, found.open_files) == (os.getpid(), None, None)
