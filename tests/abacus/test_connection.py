"""The SDK made safe: bounded, nothing hidden, the key nowhere but in its header and never in the clear."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
import traceback

import pytest
from pydantic import SecretStr

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import NeedsHuman, TryAgain
from tasks.abacus.connection import Abacus, Refusal, find_endpoints, require_safe
from tasks.abacus.sdk import Endpoints
from tests.abacus.conftest import KEY, settings


def connect(url: str, key: str = KEY, **ingestion: object) -> Abacus:
    endpoints = asyncio.run(find_endpoints(settings(url)))
    return Abacus(SecretStr(key), endpoints, settings(url, **ingestion).data_ingestion, sleep=lambda _seconds: None)


def test_the_sdk_starts_without_asking_and_without_side_effects(fake, monkeypatch):
    monkeypatch.setenv("ABACUS_API_KEY", "another-key")
    hook = sys.excepthook
    abacus = connect(fake.url)
    assert sys.excepthook is hook
    assert not fake.asked  # getApiEndpoint came once, by us, and is no call
    assert abacus.call("projects", lambda sdk: sdk.list_projects()) == []
    abacus.close()


def test_a_dead_service_is_told_within_the_deadline(caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with caplog.at_level(logging.WARNING), pytest.raises(TryAgain, match=r"no whole answer within 0\.1 s"):
            asyncio.run(find_endpoints(settings(url, timeout_seconds=0.1)))
        assert time.monotonic() - started < 15  # the SDK alone takes 33 s and goes on
        assert not caplog.records


def test_a_get_that_is_never_answered_ends(fake):
    abacus = connect(fake.url, timeout_seconds=0.1, max_retries=1)
    fake.faults.add(Fault("slow", "listProjects", seconds=0.4, times=2))
    with pytest.raises(TryAgain, match=r"projects: Abacus\.AI: GET /api/v0/listProjects: no answer within 0\.1 s"):
        abacus.call("projects", lambda sdk: sdk.list_projects())
    abacus.close()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("error_500", 'status 500, \'{"success": false, "error": "internal error"'),
        ("html", "status 200, '<!DOCTYPE html>"),
        ("rate_limited", "status 429"),
        ("cut", "Connection"),
    ],
)
def test_a_call_to_the_proxy_says_what_went_wrong(fake, kind, said):
    """The SDK alone says "ApiException(200): Unknown error"."""
    abacus = connect(fake.url, max_retries=2)
    fake.faults.add(Fault(kind, "uploadPart", times=3))
    with pytest.raises(TryAgain) as caught:
        abacus.call("a part", lambda sdk: sdk.upload_part("upload_1", 1, b"x"))
    assert said in str(caught.value)
    assert len(fake.faults.taken) == 3  # tried again twice
    abacus.close()


def test_what_the_service_refuses_is_told_in_its_words(fake):
    abacus = connect(fake.url)
    with pytest.raises(Refusal, match="DataNotFoundError: dataset nothing not found") as caught:
        abacus.call("a dataset", lambda sdk: sdk.describe_dataset("nothing"))
    assert caught.value.is_missing
    assert not caught.value.is_there_already
    abacus.close()


def test_a_wrong_key_needs_a_human_and_is_not_shown(fake, caplog):
    wrong = "wrong-key-0123456789"
    said = settings(fake.url)
    general = said.general.model_copy(update={"api_key": SecretStr(wrong)})
    with caplog.at_level(logging.DEBUG), pytest.raises(NeedsHuman, match=r"Check general\.api_key") as caught:
        asyncio.run(find_endpoints(said.model_copy(update={"general": general})))
    assert wrong not in "".join(traceback.format_exception(caught.value)) + caplog.text
    abacus = Abacus(SecretStr(wrong), Endpoints(fake.url, fake.url, fake.url), said.data_ingestion)
    with pytest.raises(NeedsHuman, match="status 403") as refused:
        abacus.call("projects", lambda sdk: sdk.list_projects())
    assert wrong not in "".join(traceback.format_exception(refused.value))
    abacus.close()


def test_the_key_is_in_a_header_only(fake):
    abacus = connect(fake.url)
    abacus.call("projects", lambda sdk: sdk.create_project("mining", "FEATURE_STORE"))
    abacus.close()
    assert fake.asked
    assert all(KEY not in repr(asked.sent) for asked in fake.asked)


@pytest.mark.parametrize(
    "address", ["http://abacus.example", "http://10.0.0.1:8080", "ftp://127.0.0.1", "http://[::2]"]
)
def test_the_key_does_not_go_in_the_clear(address):
    with pytest.raises(NeedsHuman, match="would be sent in the clear"):
        require_safe(address, "proxyEndpoint")


@pytest.mark.parametrize(
    "address", ["https://api.abacus.ai", "http://127.0.0.1:8", "http://[::1]:8", "http://localhost"]
)
def test_safe_addresses(address):
    require_safe(address, "proxyEndpoint")


def test_nor_where_the_service_says():
    class Elsewhere(FakeAbacus):
        told = "http://abacus.example"

        @property
        def url(self) -> str:
            return self.told

    with Elsewhere(KEY) as fake:
        here = f"http://127.0.0.1:{fake.port}"
        with pytest.raises(NeedsHuman, match=rf"apiEndpoint, as {here} told it, is http://abacus\.example"):
            connect(here)


def test_a_stop_ends_the_waiting(fake):
    said = settings(fake.url)
    endpoints = asyncio.run(find_endpoints(said))
    slept: list[float] = []
    abacus = Abacus(SecretStr(KEY), endpoints, said.data_ingestion, sleep=slept.append, stop=lambda: len(slept) >= 2)
    with pytest.raises(TryAgain, match="stopped"):
        abacus.wait(10)
    assert slept == [1.0, 1.0]
    abacus.close()
