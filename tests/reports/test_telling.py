"""A report at a webhook on loopback: once to each channel, with the file attached, and again where it was not taken."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.alerts.settings import ChannelSettings
from tasks.reports.telling import tell
from tasks.reports.writing import Written


class Hook:
    """Answers ``status``; keeps what came."""

    def __init__(self) -> None:
        self.status, self.url = 200, ""
        self.got: list[dict[str, Any]] = []


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hook.url = f"json://127.0.0.1:{server.server_port}/s3cret"
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


def written(folder: Path) -> Written:
    markdown, page, pdf = (folder / f"2026-11-28.{ending}" for ending in ("md", "html", "pdf"))
    for path, content in ((markdown, b"# all"), (page, b"<h1>all</h1>"), (pdf, b"%PDF-1.3 all")):
        path.write_bytes(content)
    return Written("Daily report of 2026-11-28 (UTC)", markdown, page, pdf, None, "# all", "in short")


def channels(*urls: str) -> list[ChannelSettings]:
    return [ChannelSettings(name=f"c{number}", url=SecretStr(url)) for number, url in enumerate(urls)]


def test_told_once_with_the_paper(hook: Hook, tmp_path: Path) -> None:
    report = written(tmp_path)
    there = channels(hook.url, hook.url)
    assert tell(report, ["c0"], there) == []
    assert tell(report, ["c0"], there) == []
    (got,) = hook.got
    assert (got["title"], got["message"]) == (report.title, "in short")
    (attached,) = got["attachments"]
    assert attached["filename"] == "2026-11-28.pdf"
    assert base64.b64decode(attached["base64"]) == b"%PDF-1.3 all"
    assert tell(report, ["c0", "c1"], there) == [], "a channel that is named later is told too"
    assert len(hook.got) == 2


def test_without_a_pdf_the_page_is_attached(hook: Hook, tmp_path: Path) -> None:
    whole = written(tmp_path)
    report = Written(whole.title, whole.markdown, whole.page, None, "no fpdf2", whole.text, whole.message)
    assert tell(report, ["c0"], channels(hook.url)) == []
    assert hook.got[0]["attachments"][0]["filename"] == "2026-11-28.html"


def test_not_taken_is_said_and_tried_again(hook: Hook, tmp_path: Path) -> None:
    report = written(tmp_path)
    hook.status = 500
    (trouble,) = tell(report, ["c0"], channels(hook.url))
    assert trouble.startswith("channel c0 does not take Daily report of 2026-11-28 (UTC): ")
    assert "s3cret" not in trouble
    hook.status = 200
    assert tell(report, ["c0"], channels(hook.url)) == []
    assert tell(report, ["c0"], channels(hook.url)) == []
    assert len(hook.got) == 2


def test_a_service_without_files_gets_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: list[tuple[str, object]] = []
    monkeypatch.setattr(
        "tasks.reports.telling.send", lambda _url, message, *, attached: sent.append((message.body, list(attached)))
    )
    assert tell(written(tmp_path), ["c0"], channels("syslog://")) == []
    assert sent == [("# all", [])]


def test_an_address_that_nobody_knows_is_said(tmp_path: Path) -> None:
    (trouble,) = tell(written(tmp_path), ["c0"], channels("nonsense://x"))
    assert "apprise does not understand nonsense://" in trouble
