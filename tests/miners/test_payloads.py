"""What a transport notes of a poll, and that no secret is in it, however broken the answer is."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from storage.declaration import MEASUREMENTS
from storage.frame import Frame
from storage.records.miner import Miner
from tasks.miners.driver import PollFailure
from tasks.miners.exchange import ask
from tasks.miners.payloads import Keep, PolledPayloads, Recording, payload_frames
from tasks.miners.redaction import MASK, Redaction, as_bytes, as_text, is_recorded

SECRET = 'Tr0ub4dor&3 "é/'
NAMES = ["password", "pass", "pw", "Pass", "userPass", "pool_password", "token", "api_key", "apiKey", "secret", "psk"]


def recording(answers: dict[str, Any], keep: Keep = "every", **more: Any) -> Recording:
    async def answer(request: httpx.Request) -> httpx.Response:
        said = answers[request.url.path]
        if isinstance(said, BaseException):
            raise said
        return httpx.Response(200, content=said)

    return Recording(httpx.MockTransport(answer), keep=keep, **more)


async def poll(transport: Recording, *paths: str, **headers: str) -> None:
    for path in paths:
        with contextlib.suppress(PollFailure):
            await ask(transport, httpx.Request("GET", f"http://miner{path}", headers=headers))


async def test_every_path_with_its_last_answer_or_why_none_came() -> None:
    now = [100.0]
    answers: dict[str, Any] = {"/a": b"1", "/b": httpx.ReadTimeout("slow"), "/c": b"3"}
    transport = recording(answers, clock=lambda: now[0])
    await poll(transport, "/a", "/b", "/c")
    answers["/a"] = b"2"
    now[0] = 101.5
    await poll(transport, "/a")
    assert [(p.path, p.status, p.failure, p.body, p.size, p.received_ms) for p in transport.taken()] == [
        ("/b", None, "deadline", None, None, 100_000),
        ("/c", 200, None, "3", 1, 100_000),
        ("/a", 200, None, "2", 1, 101_500),
    ]
    assert transport.taken() == []


async def test_the_answer_that_is_handed_on_is_the_one_that_came() -> None:
    body = json.dumps({"pass": "x", "hashrate": 1}).encode()
    transport = recording({"/a": body})
    answer = await ask(transport, httpx.Request("GET", "http://miner/a"))
    assert answer.content == body


@pytest.mark.parametrize(
    "path", ["/api/v1/unlock", "/api/v1/settings", "/api/v1/auth-check?token=1", "/login.cgi", "/api/v1/apikeys",
             "/cgi-bin/luci/admin", "POST /api/v1/unlock"],
)  # fmt: skip
def test_what_lets_in_is_never_noted(path: str) -> None:
    assert not is_recorded(path)


@pytest.mark.parametrize(
    "path", ["/api/v1/summary", "/api/v1/perf-summary", "/cgi-bin/stats.cgi", "/cgi-bin/get_miner_conf.cgi", "/pools"]
)
def test_what_is_read_is_noted(path: str) -> None:
    assert is_recorded(path)


async def test_polls_that_changed_in_numbers_alone_are_kept_hourly() -> None:
    now = [0.0]
    answers = {"/a": b'{"state":"mining","hashrate":101.5}'}
    transport = recording(answers, "changed", clock=lambda: now[0])

    async def kept() -> bool:
        await poll(transport, "/a")
        return bool(transport.taken())

    assert await kept()
    answers["/a"] = b'{"state":"mining","hashrate":-0.2}'
    now[0] = 3_599
    assert not await kept()
    answers["/a"] = b'{"state":"paused","hashrate":-0.2}'
    assert await kept()
    now[0] = 3_599 + 3_600
    assert await kept()


async def test_off_notes_nothing() -> None:
    transport = recording({"/a": b"1"}, "off")
    await poll(transport, "/a")
    assert transport.taken() == []


def written(secret: str) -> set[str]:
    """Every way a secret is written that a reader could take back."""
    return {
        secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe=""),
        b64encode(secret.encode()).decode(),
    }  # fmt: skip


def cut(body: bytes, at: int) -> bytes:
    return body[: at % (len(body) + 1)]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(
    secret=st.text(min_size=6, max_size=20).filter(lambda s: not any(s in MASK + c for c in "\0")),
    around=JSON,
    noise=st.binary(max_size=12),
    end=st.integers(0, 400),
)
@settings(max_examples=300)
def test_a_known_secret_is_nowhere(secret: str, around: Any, noise: bytes, end: int) -> None:
    forms = sorted(written(secret))
    ways = [
        json.dumps({"x": around, "y": form, form: 1}, ensure_ascii=False).encode("utf-8", "replace") for form in forms
    ]
    redaction = Redaction([SecretStr(secret)])
    for body in [*ways, *(f.encode("utf-8", "replace") for f in forms), noise.join(ways)]:
        kept = redaction.text(cut(body, len(body) - end % 3) + noise)
        assert not [form for form in forms if form in kept and form not in MASK]


BESIDE = {"url": "stratum+tcp://p:1", "user": "acc.worker", "hashrate": 99.5}
"""What stands beside a secret and is none: no value that is looked for may be a part of it."""


@given(
    name=st.sampled_from(NAMES),
    value=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=3, max_size=20).filter(
        lambda v: v not in json.dumps([*NAMES, MASK, BESIDE]) and not set(v) <= set("*\\ ")
    ),
    end=st.integers(0, 60),
    noise=st.sampled_from(["", "\0", "\n", ",", "}", "garbage "]),
)
@example(name="pass", value='a"b', end=0, noise="")
@settings(max_examples=500)
def test_what_is_named_like_a_secret_is_nowhere(name: str, value: str, end: int, noise: str) -> None:
    whole = json.dumps({**BESIDE, name: value})
    nested = json.dumps({"pools": [{name: {"deep": [value]}}]})
    for text in (noise + whole, nested, whole[: len(whole) - end]):
        kept = Redaction().text(text.encode())
        assert json.dumps(value)[1:-1] not in kept
    assert json.loads(Redaction().text(whole.encode())) == {**json.loads(whole), name: MASK}


BROKEN = [
    'pass":"{}","user":"u"',
    "{{'password':'{}'}}",
    "<html>password={}&x=1",
    "Authorization: Bearer {}\r\n",
    '{{"a":1}}{{"token":"{}"',
    '{{"text":"{{\\"pass\\":\\"{}\\"}}"}}',
    '{{"pass"\n:\t"{}" "user":"u"}}',
    "POOL=0,URL=x,User=u,Pass={}|",
    "stratum+tcp://user:{}@pool:3333",
    '{{"p\\u0061ss":"{}"}}',
    "<password>{}</password>",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_secrets_in_garbage(broken: str) -> None:
    kept = Redaction().text(broken.format("hunter2secretive").encode() + b"\xff\x00")
    assert "hunter2" not in kept
    assert MASK in kept


def test_a_short_secret_is_a_word_of_its_own() -> None:
    kept = Redaction(["1234", "root"]).text(b'{"a":"1234","b":812345,"c":"by root.","d":"rooter"}')
    assert json.loads(kept) == {"a": MASK, "b": 812345, "c": f"by {MASK}.", "d": "rooter"}


def test_users_and_readings_stay() -> None:
    said = {"user": "acc.worker", "passed": 3, "bypass": "on", "keys": 4, "power": 3500, "author": "x"}
    assert json.loads(Redaction().text(json.dumps(said).encode())) == said


def test_long_hostile_answers_are_masked_in_linear_time() -> None:
    """Each of these took minutes with a pattern that backtracks; here none is a second of work."""
    for body in (
        b"a" * 200_000,
        b"pass" * 50_000,
        b'"pass' * 40_000,
        b"a_" * 100_000,
        b'pass="' * 30_000,
        b"\\" * 200_000,
    ):
        Redaction(["secret"]).text(b"pass@" + body)


@given(st.binary())
def test_bytes_come_back(body: bytes) -> None:
    assert as_bytes(as_text(body)) == body


async def test_credentials_of_requests_are_learnt() -> None:
    login = b64encode(b"root:p4ssw0rdy").decode()
    transport = recording({"/echo": f"you sent {login} and t0k3n-of-miner".encode()})
    await poll(transport, "/echo", authorization=f"Basic {login}")
    await poll(transport, "/echo", authorization="Bearer t0k3n-of-miner")
    (kept,) = transport.taken()
    assert kept.body == f"you sent {MASK} and {MASK}"


async def test_rows() -> None:
    transport = recording({"/a": b'{"pass":"x"}', "/b": httpx.ConnectTimeout("")}, clock=lambda: 5.0)
    await poll(transport, "/a", "/b")
    polled = PolledPayloads(Miner("m1", "S19", "hall"), "10.0.0.1", "vnish-rest", transport.taken())
    (frame,) = payload_frames(60, [polled])
    assert isinstance(frame, Frame)
    assert set(frame.columns) == set(MEASUREMENTS["raw_payload"].columns()) - {"time"}
    assert frame.columns["body"] == [f'{{"pass":"{MASK}"}}', None]
    assert frame.columns["failure"] == [None, "connect_timeout"]
    assert payload_frames(60, []) == []
