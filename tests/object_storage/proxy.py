"""A proxy in front of the S3 server that misbehaves on request: what networks do and no server offers."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Rule = Callable[[str, str], bool]
"""Takes method and path of a request."""

_OF_THE_CONNECTION = ("transfer-encoding", "expect", "content-length", "connection")


class Proxy:
    """Passes everything on; keeps what was asked and answered."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.swallow: Rule | None = None
        """Of the first request it is true of, the answer is swallowed: done, and the client never hears of it."""
        self.before: Callable[[str, str], None] | None = None
        """Called with method and path before a request is passed on."""
        self.asked: list[tuple[str, str, int]] = []
        self.port = 0
        self.guard = threading.Lock()

    def statuses(self, rule: Rule) -> list[int]:
        """Status of every answer to a request that ``rule`` is true of."""
        return [status for method, path, status in self.asked if rule(method, path)]

    def is_swallowed(self, method: str, path: str) -> bool:
        with self.guard:
            if self.swallow is None or not self.swallow(method, path):
                return False
            self.swallow = None
            return True


@contextmanager
def proxied(upstream: int) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    proxy.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body

        def _pass_on(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_CONNECTION}
            body = self._body()
            if proxy.before is not None:
                proxy.before(self.command, self.path)
            connection = http.client.HTTPConnection("127.0.0.1", proxy.upstream)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            proxy.asked.append((self.command, self.path, answer.status))
            if proxy.is_swallowed(self.command, self.path):
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_THE_CONNECTION:
                    self.send_header(name, value)
            length = answer.getheader("content-length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("content-length", length)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    return Handler
