"""A log file of our own: what a flow's process prints is shown by nobody, and the Prefect server may be away."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from storage.log_files import ERRORS, DailyHandler

LOGGERS = ("flows", "tasks", "storage")


def log_to(file: Path, level: str) -> None:
    """Let everything Lodeline logs from ``level`` on go to ``file``, errors also to a file beside it; UTC times.

    storage/log_files.py says when a file is closed, compressed and deleted.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    form = logging.Formatter("%(asctime)sZ %(process)d %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handlers = [
        DailyHandler(file, encoding="utf-8"),
        DailyHandler(file.with_suffix(f"{ERRORS}.log"), encoding="utf-8", delay=True),
    ]
    handlers[1].setLevel(logging.ERROR)
    for handler in handlers:
        handler.setFormatter(form)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        for handler in handlers:
            logger.addHandler(handler)
