"""Debian's real PostgreSQL 15 on a unix socket, as the database of a Prefect server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.services import program

_BIN = "/usr/lib/postgresql/15/bin"
"""Debian keeps the programs of the server out of PATH."""
_USER = "postgres"
_START_S = 60


class PostgresServer:
    """One cluster in a folder of its own, which outlives :meth:`kill` and :meth:`stop`; :meth:`remove` ends all.

    It refuses to run as root, so root runs it as Debian's user postgres, outside of pytest's folders, which only their
    owner may enter.
    """

    def __init__(self) -> None:
        self._program = _program("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="lodeline-pg-"))
        self._user = _USER if os.geteuid() == 0 else None
        if self._user is not None:
            account = pwd.getpwnam(_USER)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        initdb = [_program("initdb"), "-D", str(self._data), "-U", "prefect", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(initdb, **self._as_owner, capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stderr[-2000:]}")

    @property
    def url(self) -> str:
        """The address as PREFECT_API_DATABASE_CONNECTION_URL takes it."""
        return f"postgresql+asyncpg://prefect@/postgres?host={self.folder}"

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _as_owner(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user, "group": self._user, "cwd": str(self.folder)}

    def start(self) -> PostgresServer:
        """Start, and return once it takes connections. It listens on no port."""
        options = ["-D", str(self._data), "-k", str(self.folder), "-c", "listen_addresses="]
        options += ["-c", "fsync=off"]  # what the tests kill is the process, not the machine
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_owner
            )
        ready = [_program("pg_isready"), "-q", "-h", str(self.folder)]
        deadline = time.monotonic() + _START_S
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres did not start:\n{self.log[-2000:]}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """SIGKILL to all of its processes: a power cut."""
        assert self._process is not None, "not started"
        children = subprocess.run(
            ["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        for pid in (self._process.pid, *map(int, children)):
            with suppress(ProcessLookupError):  # they end by themselves as soon as the first is gone
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def query(self, statement: str) -> list[str]:
        """Rows of ``statement`` as lines of psql, by a client of its own: what the tests check against."""
        asked = [_program("psql"), "-h", str(self.folder), "-U", "prefect", "-At", "-c", statement, "postgres"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()

    def stop(self) -> None:
        """End it at once, with its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=_START_S)
            self._process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)


def _program(name: str) -> str:
    return program(name, further=_BIN, package="postgresql")
