"""A log file of our own: what a flow's process prints is shown by nobody, and the Prefect server may be away."""

from __future__ import annotations

import logging
import logging.handlers
import time
from pathlib import Path

LOGGERS = ("flows", "tasks", "storage")
FILE_BYTES = 4 << 20
KEPT_FILES = 3


def log_to(file: Path, level: str) -> None:
    """Let everything Lodeline logs from ``level`` on go to ``file`` as well, rotated, with UTC times."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    form = logging.Formatter("%(asctime)sZ %(process)d %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
