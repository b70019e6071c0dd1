"""A page process and a headless Chromium that looks at it, and what no page may do: leave loopback, or log an error."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.services import program

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LODELINE_", "PYTEST_"))}
    return {**own, **more}


_ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A page that is to end by itself."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=_environment(), cwd=_ROOT, timeout=120, check=False
    )


@contextmanager
def process(arguments: Sequence[str], **environment: str) -> Iterator[str]:
    """A page served by ``python arguments``, which listens when it prints its address; SIGTERM must end it."""
    running = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(**environment),
        cwd=_ROOT,
    )
    assert running.stdout is not None
    try:
        said = ""
        for line in running.stdout:
            said += line
            if line.startswith("lodeline page: "):
                break
        else:
            raise AssertionError(f"the page ended with {running.wait()} and said:\n{said}")
        yield line.removeprefix("lodeline page: ").strip().rstrip("/")
    finally:
        running.terminate()
        try:
            rest, _ = running.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            running.kill()
            rest, _ = running.communicate()
            raise AssertionError(f"the page did not end on SIGTERM and said:\n{said}{rest}") from None
    assert running.returncode in (0, -signal.SIGTERM), f"{said}{rest}"
    assert "Traceback" not in rest, rest


class Visitor:
    """One browser that notes every request and every word on its console."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.faults: list[str] = []

    def open(self, address: str) -> Page:
        page = self._context.new_page()
        page.on("request", lambda request: self._look(request.url))
        page.on("websocket", lambda websocket: self._look(websocket.url))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.goto(address)
        return page

    def _look(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
            self.faults.append(f"request that leaves loopback: {url}")

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"console {kind}: {text}")


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def visitor(browser: Browser, *, width: int = 1440, height: int = 900, dark: bool = False) -> Iterator[Visitor]:
    """A visitor with a screen of that size, a history and cookies of their own."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    context.set_default_timeout(30_000)
    yield Visitor(context)
    context.close()
