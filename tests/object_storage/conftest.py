"""A bucket on loopback for every test."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from storage.lake.object_store import ObjectLocation, ObjectStore
from tests.object_storage.proxy import Proxy, proxied

SECRET = "n0t-in-any-text"


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Port of an S3 server that takes any key."""
    with started() as server:
        yield port_of(server)


def started(**environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("server.py"))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ or None)


def port_of(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    return int(server.stdout.readline())


def bucket_at(port: int, name: str) -> ObjectStore:
    return ObjectStore(name, "us-east-1", f"http://127.0.0.1:{port}", SecretStr("key"), SecretStr(SECRET))


def make_bucket(port: int, name: str) -> ObjectStore:
    httpx.put(f"http://127.0.0.1:{port}/{name}", trust_env=False).raise_for_status()
    return bucket_at(port, name)


@pytest.fixture
def root(s3_port) -> ObjectLocation:
    """Root of an empty lake, in a bucket of its own."""
    return ObjectLocation(make_bucket(s3_port, f"lake-{uuid.uuid4().hex[:8]}"), "farm/lake")


@pytest.fixture
def proxy(root, s3_port) -> Iterator[Proxy]:
    with proxied(s3_port) as proxy:
        yield proxy


@pytest.fixture
def root_by_proxy(root, proxy) -> ObjectLocation:
    """The same lake, through the proxy."""
    return ObjectLocation(bucket_at(proxy.port, root.store.bucket), root.key)
