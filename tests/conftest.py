"""Fixtures that tests of several folders share; a session has one of each."""

from tests.prefect_server import api, children, collected, server

__all__ = ["api", "children", "collected", "server"]
