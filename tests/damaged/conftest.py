from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.damaged.host import Host
from tests.memory import memory_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as made:
        yield made


@pytest.fixture
def host(folder: Path) -> Host:
    return Host(folder)
