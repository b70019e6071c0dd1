"""Fixtures that tests of several folders share; a session has one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prefect_server import api, children, collected, server

__all__ = ["api", "children", "collected", "server"]

LONG = ("up", "scale_out", "faults", "page", "flows", "command", "downsample", "backup")
"""Folders whose files take longest, in that order: they begin first, or one of two cores waits for them at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only the order of folders; files and what is in them stay as they are."""
    tests = Path(__file__).parent
    rank = {folder: number for number, folder in enumerate(LONG)}

    def place(item: pytest.Item) -> int:
        inside = item.path.relative_to(tests).parts if item.path.is_relative_to(tests) else ()
        return rank.get(inside[0], len(LONG)) if inside else len(LONG)

    items.sort(key=place)
