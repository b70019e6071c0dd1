"""What machines ask the page: ``/health``, ``/ready`` and ``/metrics``.

``/health``: whether the pipeline of this host is well (200 or 503). ``/ready``: whether the page can answer, the store
included. Both say no more to a stranger than yes or no; whoever may look is told the reasons as well. ``/metrics``, for
Prometheus, needs the password where the page does: HTTP Basic with any user name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from deployments.page.reading import PageReader
from tasks.health.exposition import CONTENT_TYPE, exposition
from tasks.health.status import read_status

OPEN_PATHS = frozenset({"/health", "/ready"})
METRICS = "/metrics"


def add_probes(app: FastAPI, reader: PageReader, data_directory: Path, *, may_look: Callable[[Request], bool]) -> None:
    """Serve the three paths on ``app``; ``may_look`` tells whether a visitor may be told reasons."""

    @app.get("/health")
    async def health(request: Request) -> Response:
        try:
            status = await asyncio.to_thread(read_status, data_directory, time.time())
        except PermissionError as error:
            return _answer(request, [f"{error.filename} cannot be read: {error.strerror}"])
        return _answer(request, list(status.reasons))

    @app.get("/ready")
    async def ready(request: Request) -> Response:
        answer = await reader.fleet()
        if answer.value is None:
            return _answer(request, [answer.trouble or "the store has not answered yet"])
        return _answer(request, [f"the store does not answer: {answer.trouble}"] if answer.trouble else [])

    @app.get(METRICS)
    async def metrics() -> Response:
        return Response(await asyncio.to_thread(exposition, data_directory, time.time()), media_type=CONTENT_TYPE)

    def _answer(request: Request, reasons: list[str]) -> Response:
        told = {"reasons": reasons} if may_look(request) else {}
        return JSONResponse({"ok": not reasons, **told}, status_code=503 if reasons else 200)
