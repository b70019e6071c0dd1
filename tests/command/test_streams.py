"""What a command prints reaches whoever reads it, and who reads no more ends no work."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def started(program: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_a_pipe_gets_utf_8_whatever_the_locale() -> None:
    program = "from deployments.command.streams import make_readable; make_readable(); print('71 \\u00b0C')"
    out, err = started(program, PYTHONIOENCODING="ascii").communicate()
    assert (out, err) == (b"71 \xc2\xb0C\n", b"")


def test_work_goes_on_when_nobody_reads_any_more() -> None:
    program = """
from deployments.command.streams import patient
say, complain = patient(err=False), patient(err=True)
say("one")
input()
say("two")
say("three")
complain("went on")
"""
    running = started(program)
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline() == b"one\n"
    running.stdout.close()  # as head -1 does
    running.stdin.write(b"\n")
    running.stdin.close()
    said = running.stderr.read().decode()
    running.stderr.close()
    assert running.wait() == 0
    assert said == "lodeline: nobody reads stdout any more; the work goes on, unseen\nwent on\n"
