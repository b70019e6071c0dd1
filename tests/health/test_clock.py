"""This clock against a server's: whole seconds of a real answer, and what no server tells."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from storage.influx.settings import InfluxSettings
from tasks.health.clock import offset_to_influxdb, skew_s


@contextmanager
def answering(date: str | None) -> Iterator[str]:
    class Ping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(204)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ping) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_hour_behind() -> None:
    with answering(email.utils.formatdate(time.time() + 3_600, usegmt=True)) as url:
        offset = offset_to_influxdb(InfluxSettings(url=url))
    assert isinstance(offset, float)
    assert -3_602 < offset < -3_597


@pytest.mark.parametrize(("date", "told"), [(None, "no_date"), ("yesterday", "no_date")])
def test_a_server_that_tells_no_time(date: str | None, told: str) -> None:
    with answering(date) as url:
        assert offset_to_influxdb(InfluxSettings(url=url)) == told


def test_nobody_there() -> None:
    assert offset_to_influxdb(None) == "no_influxdb"
    assert offset_to_influxdb(InfluxSettings(url="http://127.0.0.1:9")) == "no_answer"


def test_the_example_of_the_rfc() -> None:
    """RFC 9110, 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT is 784111777."""
    assert skew_s("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_787.0) == 10.0
