"""What machines ask the page: open to none that may not look, and true."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import cast

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from deployments.page import access
from deployments.page.probes import METRICS, OPEN_PATHS, add_probes
from deployments.page.reading import PageReader
from storage.errors import TryAgain
from storage.lake.store import EmbeddedStore
from tasks.miners.report import TickReport

PASSWORD = "correct horse"


class Served:
    """The probes behind the door, with a password or without."""

    def __init__(self, data: Path, *, password: str | None, store_answers: bool = True) -> None:
        def open_store() -> EmbeddedStore:
            if not store_answers:
                raise TryAgain("refused")
            return EmbeddedStore(data / "lake")

        self.sessions = access.Sessions(b"s" * 32, SecretStr(password)) if password else None
        self.app = FastAPI()
        self.reader = PageReader(open_store, data / "state")
        add_probes(
            self.app,
            self.reader,
            data,
            may_look=lambda request: self.sessions is None or self.sessions.admits(request.cookies.get(access.COOKIE)),
        )
        self.door = access.Door(self.app, self.sessions, "127.0.0.1", open_paths=OPEN_PATHS, basic_paths={METRICS})

    async def get(self, path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.door, client=("10.0.0.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    now = int(time.time())
    report = TickReport(
        lane="miners", host="edge", slot=now, finished=now + 1.0, polled=1, failed=0, points=1, points_accepted=1,
        failed_by_reason={}, points_stored=1, points_dead_lettered=0, points_shed=0, backlog=0, tick_s=1.0,
        loop_lag_ms=0.0, store="embedded", next_slot=now + 600,
    )  # fmt: skip
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "miners.json").write_bytes(msgspec.json.encode(report))
    return tmp_path


async def test_a_host_that_is_well(data: Path) -> None:
    served = Served(data, password=None)
    for path in ("/health", "/ready"):
        answer = await served.get(path)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "reasons": []})
    assert "lodeline_healthy 1.0" in (await served.get("/metrics")).text
    served.reader.close()


async def test_a_host_that_is_not(tmp_path: Path) -> None:
    served = Served(tmp_path, password=None, store_answers=False)
    health, ready = await served.get("/health"), await served.get("/ready")
    assert (health.status_code, ready.status_code) == (503, 503)
    assert "nothing has been collected yet" in health.json()["reasons"][0]
    assert "refused" in ready.json()["reasons"][0]
    assert "lodeline_healthy 0.0" in (await served.get("/metrics")).text
    served.reader.close()


async def test_a_stranger_hears_yes_or_no_and_nothing_else(tmp_path: Path) -> None:
    served = Served(tmp_path, password=PASSWORD)
    answer = await served.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})
    cookie = f"{access.COOKIE}={cast('access.Sessions', served.sessions).issue()}"
    assert "reasons" in (await served.get("/health", cookie=cookie)).json()
    for refused in (await served.get("/metrics"), await served.get("/metrics", authorization="Basic %%%")):
        assert refused.status_code == 401
        assert "lodeline_" not in refused.text
    served.reader.close()


async def test_metrics_by_basic_and_guessing_gets_slow(data: Path) -> None:
    served = Served(data, password=PASSWORD)
    assert (await served.get("/metrics", authorization=basic(PASSWORD))).status_code == 200
    wrong = await served.get("/metrics", authorization=basic("battery staple"))
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Basic realm="Lodeline"')
    at_once = await served.get("/metrics", authorization=basic(PASSWORD))
    assert at_once.status_code == 429
    assert (await served.get("/", authorization=basic(PASSWORD))).status_code == 401, "Basic is for metrics alone"
    served.reader.close()
