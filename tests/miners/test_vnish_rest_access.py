"""How vnish-rest gets in: with nothing while nobody asks, and never so often that it locks people out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from storage.records.miner import MinerTelemetry
from tasks.miners.driver import PollFailure
from tasks.miners.vnish_rest import VnishRest
from tests.miners.payloads import PASSWORD, SLOT, Answers, rest, target


class Guarded(Answers):
    """A miner that wants a credential for everything, as 1.2.x and 1.3.x do when the owner locks it."""

    def __init__(self, *, password: str = PASSWORD.get_secret_value(), key: str | None = None) -> None:
        super().__init__(rest())
        self._password, self._key = password, key
        self.tokens: list[str] = []
        self.refusal: httpx.Response | None = None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/unlock":
            self.requests.append(request)
            if self.refusal is not None:
                return self.refusal
            if json.loads(request.content) != {"pw": self._password}:
                return httpx.Response(403, json={"unlock_timeout": None})
            self.tokens.append(f"token-{len(self.tokens) + 1}")
            return httpx.Response(200, json={"token": self.tokens[-1]})
        allowed = self.tokens and request.headers.get("authorization") == f"Bearer {self.tokens[-1]}"
        if not allowed and (self._key is None or request.headers.get("x-api-key") != self._key):
            self.requests.append(request)
            return httpx.Response(401)
        return super()._answer(request)

    @property
    def unlocks(self) -> int:
        return self.paths.count("/unlock")


async def test_nothing_secret_is_sent_while_nobody_asks() -> None:
    transport = Answers(rest())
    session = VnishRest().session(target(password=PASSWORD, api_key=SecretStr("k" * 32)), transport)
    await session.telemetry(SLOT)
    sent = [(dict(request.headers), request.content) for request in transport.requests]
    assert "authorization" not in str(sent)
    assert "x-api-key" not in str(sent)
    assert PASSWORD.get_secret_value() not in str(sent)


async def test_unlock_once_then_keep_the_token() -> None:
    transport = Guarded()
    session = VnishRest().session(target(password=PASSWORD), transport)
    for slot in (SLOT, SLOT + 60):
        assert (await session.telemetry(slot)).hashrate_hs == 93e12
    assert transport.unlocks == 1
    transport.tokens.append("the old one is void")
    assert (await session.telemetry(SLOT + 120)).hashrate_hs == 93e12
    assert transport.unlocks == 2


async def test_api_key() -> None:
    key = "k" * 32
    transport = Guarded(key=key)
    session = VnishRest().session(target(password=PASSWORD, api_key=SecretStr(key)), transport)
    assert (await session.telemetry(SLOT)).hashrate_hs == 93e12
    assert transport.unlocks == 0
    with pytest.raises(PollFailure, match="refuses the configured api_key") as failure:
        await poll_with(Guarded(key="other" * 8), api_key=SecretStr(key))
    assert key not in str(failure.value)


async def poll_with(transport: httpx.AsyncBaseTransport, **over: Any) -> MinerTelemetry:
    return await VnishRest().session(target(**over), transport).telemetry(SLOT)


async def test_no_credential_where_one_is_needed() -> None:
    with pytest.raises(PollFailure, match="set password or api_key") as failure:
        await poll_with(Guarded())
    assert failure.value.kind == "auth"


async def test_a_wrong_password_is_not_tried_again_at_once() -> None:
    transport = Guarded(password="another")
    session = VnishRest().session(target(password=PASSWORD), transport)
    for slot in range(SLOT, SLOT + 900, 60):
        with pytest.raises(PollFailure) as failure:
            await session.telemetry(slot)
        assert failure.value.kind == "auth"
        assert not failure.value.worth_retrying
        assert PASSWORD.get_secret_value() not in str(failure.value)
    assert transport.unlocks == 1
    with pytest.raises(PollFailure):
        await session.telemetry(SLOT + 900)
    assert transport.unlocks == 2


async def test_the_time_that_the_miner_asks_for_is_kept() -> None:
    transport = Guarded()
    transport.refusal = httpx.Response(429, json={"unlock_timeout": 120})
    session = VnishRest().session(target(password=PASSWORD), transport)
    for slot in (SLOT, SLOT + 60, SLOT + 119):
        with pytest.raises(PollFailure, match=r"too many attempts|next try is in"):
            await session.telemetry(slot)
    assert transport.unlocks == 1
    transport.refusal = None
    assert (await session.telemetry(SLOT + 120)).hashrate_hs == 93e12
    assert transport.unlocks == 2


async def test_a_clock_that_is_set_back_does_not_lock_for_days() -> None:
    transport = Guarded()
    transport.refusal = httpx.Response(429, json={"unlock_timeout": 600})
    session = VnishRest().session(target(password=PASSWORD), transport)
    with pytest.raises(PollFailure, match="too many attempts"):
        await session.telemetry(SLOT + 86_400)
    transport.refusal = None
    assert (await session.telemetry(SLOT)).hashrate_hs == 93e12


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(200, json={}), httpx.Response(200, content=b"no"),
        httpx.Response(200, json={"token": "a\r\nx: y"}),
        httpx.Response(500, json={"err": "x"}), httpx.Response(403, content=b"no"), httpx.Response(429, content=b"{"),
    ],
)  # fmt: skip
async def test_an_unlock_that_makes_no_sense_is_a_failure(refusal: httpx.Response) -> None:
    transport = Guarded()
    transport.refusal = refusal
    with pytest.raises(PollFailure):
        await poll_with(transport, password=PASSWORD)
