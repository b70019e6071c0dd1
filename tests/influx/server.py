"""Debian's real influxd on loopback, for any test: ``from tests.influx.server import InfluxServer``."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from tests.services import program

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  index-version = "tsi1"
  cache-snapshot-write-cold-duration = "{cold}"
  compact-full-write-cold-duration = "{cold}"
[http]
  bind-address = "{address}:{port}"
  auth-enabled = {auth}
  max-row-limit = {max_row_limit}
  log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
[subscriber]
  enabled = false
"""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without it, httpx reads the system's certificates for every single request, though none is by TLS."""

_LISTENING = re.compile(r"Listening on HTTP.*addr=[\d.]+:(\d+)")


class InfluxServer:
    """One influxd with its data under ``directory``; it keeps data and port over a restart."""

    def __init__(
        self,
        directory: Path,
        *,
        auth: bool = False,
        max_row_limit: int = 0,
        cold: str = "10m",
        address: str = "127.0.0.1",
        rpc_port: int = 0,
    ) -> None:
        """``cold``: a shard without writes for so long is written out and compacted in full. ``address`` is listened
        on; another than loopback only in a network namespace of the test's own. ``rpc_port`` is that of backups."""
        self._address = address
        self._program = program("influxd")
        self._directory = directory
        self._auth = auth
        self._max_row_limit = max_row_limit
        self._cold = cold
        self._rpc_port = rpc_port
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address, known once started."""
        return f"http://{self._address}:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> InfluxServer:
        """Start, and return once it listens. The environment is left out: INFLUXDB_... would override the file."""
        self._directory.mkdir(parents=True, exist_ok=True)
        config, log = self._directory / "influxdb.conf", self._directory / "log"
        config.write_text(
            _CONFIG.format(
                directory=self._directory,
                address=self._address,
                port=self._port,
                auth=str(self._auth).lower(),
                max_row_limit=self._max_row_limit,
                cold=self._cold,
                rpc_port=self._rpc_port,
            )
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, "-config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"HOME": str(self._directory), "PATH": os.environ["PATH"]},
            )
        deadline = time.monotonic() + 60
        while not (listening := _LISTENING.search(log.read_text(errors="replace"))):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"influxd did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        self._port = int(listening.group(1))
        return self

    def stop(self) -> None:
        """SIGTERM and wait; SIGKILL where it does not end."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)  # a paused process would not hear SIGTERM
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: a power cut for the process."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it takes connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after :meth:`pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def query(self, statement: str, database: str = "", *, method: str = "POST", **params: str) -> dict[str, Any]:
        """The decoded answer to a statement, by a client of its own: what the tests check against."""
        asked = {"q": statement, "db": database, "epoch": "s", **params}
        answer: dict[str, Any] = httpx.request(
            method, f"{self.url}/query", params=asked, timeout=60, verify=_NO_TLS
        ).json()
        return answer

    def rows(self, statement: str, database: str) -> list[dict[str, Any]]:
        """Rows of a SELECT as dictionaries, tags included; fails on any error."""
        found: list[dict[str, Any]] = []
        answer = self.query(statement, database)
        for result in answer["results"]:
            assert "error" not in result, result
            for series in result.get("series", ()):
                assert not series.get("partial"), "cut by max-row-limit"
                for values in series["values"]:
                    found.append({**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))})
        return found

    def write(self, database: str, lines: str) -> httpx.Response:
        """Write lines (precision s) as they stand, by a client of its own."""
        return httpx.post(
            f"{self.url}/write",
            params={"db": database, "precision": "s"},
            content=lines.encode(),
            timeout=60,
            verify=_NO_TLS,
        )
