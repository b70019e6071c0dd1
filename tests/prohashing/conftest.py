"""One router for all tests here: it takes some ten seconds to start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prohashing.router.router import Router, binary
from tests.services import program


@pytest.fixture(scope="session")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    crossbar, openssl = binary(), program("openssl")
    folder = tmp_path_factory.mktemp("router")
    certificate(openssl, folder)
    running = Router(crossbar, folder)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def ca_file(router: Router) -> Path:
    return router.folder / "cert.pem"


def certificate(openssl: str, folder: Path) -> None:
    subject = ["-subj", "/CN=router", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
