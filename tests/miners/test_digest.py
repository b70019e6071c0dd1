"""HTTP Digest: the RFCs' own examples, one challenge for many requests, and what is never told."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tasks.miners.digest import Challenge, DigestAccess, challenge_of, proof
from tasks.miners.driver import PollFailure
from tests.miners.payloads import PASSWORD, Answers, target

NONCE_7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def response(said: str) -> str:
    (found,) = re.findall(r'response="([0-9a-f]+)"', said)
    return str(found)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, expected: str) -> None:
    challenge = challenge_of(
        [
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE_7616}", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    assert challenge is not None
    said = proof(challenge, "Mufasa", "Circle of Life", "/dir/index.html", cnonce=CNONCE_7616)
    assert response(said) == expected
    assert "nc=00000001" in said
    assert f"algorithm={algorithm}" in said
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in said


def test_the_example_of_rfc_2617_and_one_without_qop() -> None:
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    challenge = Challenge("testrealm@host.com", nonce, "MD5", False, None, "auth")
    said = proof(challenge, "Mufasa", "Circle Of Life", "/dir/index.html", cnonce="0a4f113b")
    assert response(said) == "6629fae49393a05397450978507c4ef1"
    old = Challenge("testrealm@host.com", nonce, "MD5", False, None, None)
    said = proof(old, "Mufasa", "Circle Of Life", "/dir/index.html", cnonce="0a4f113b")
    assert response(said) == "670fd8c2df070c60b045671b8b24ff02"
    assert "nc=" not in said


@pytest.mark.parametrize(
    ("headers", "algorithm"),
    [
        (['Digest realm="a", nonce="n", qop="auth"'], "MD5"),
        (["digest realm=a,nonce=n,algorithm=md5"], "MD5"),
        (['Digest realm="a", nonce="n"', 'Digest realm="a", nonce="m", algorithm=SHA-256'], "SHA-256"),
        (['Basic realm="a, Digest b", Digest realm="a", nonce="n"'], "MD5"),
        (['Digest realm="a", nonce="n", algorithm=MD5-sess'], None),
        (['Digest realm="a", nonce="n", qop="auth-int"'], None),
        (['Digest realm="a", nonce=""'], None),
        (['Digest nonce="n"'], None),
        (['Basic realm="a"'], None),
        (['Digest realm="a\x00", nonce="n"'], None),
        ([""], None),
        ([], None),
    ],
)
def test_challenges(headers: list[str], algorithm: str | None) -> None:
    found = challenge_of(headers)
    assert (found.algorithm if found else None) == algorithm


class Door(Answers):
    """A device that lets in each nonce ``good_for`` times, checked with httpx's arithmetic in mind: by count alone."""

    def __init__(self, good_for: int, header: str = 'Digest realm="r", qop="auth", nonce="{}"') -> None:
        super().__init__({"/page": self._page})
        self.good_for = good_for
        self.header = header
        self.nonces = 0

    def _page(self, request: httpx.Request) -> Any:
        said = request.headers.get("authorization", "")
        count = re.search(r"nc=([0-9a-f]{8})", said)
        if f'nonce="{self.nonces}"' in said and count and int(count[1], 16) <= self.good_for:
            return b"{}"
        self.nonces += 1
        return httpx.Response(401, headers={"WWW-Authenticate": self.header.format(self.nonces)})


def login(transport: Answers, **over: Any) -> DigestAccess:
    return DigestAccess(target(**({"username": "root", "password": PASSWORD} | over)), transport)


async def test_one_challenge_serves_many_requests_and_is_renewed_when_it_is_worn_out() -> None:
    door = Door(good_for=3)
    access = login(door)
    for _ in range(7):
        assert await access.get("/page") == b"{}"
    counts = [re.findall(r'nonce="(\d)".*nc=0000000(\d)', r.headers.get("authorization", "")) for r in door.requests]
    assert counts == [
        [], [("1", "1")], [("1", "2")], [("1", "3")],
        [("1", "4")], [("2", "1")], [("2", "2")], [("2", "3")],
        [("2", "4")], [("3", "1")],
    ]  # fmt: skip
    cnonces = re.findall(
        r'cnonce="([0-9a-f]{16})"', " ".join(r.headers.get("authorization", "") for r in door.requests)
    )
    assert len(set(cnonces)) == len(cnonces) == 9


async def test_a_device_that_asks_for_nothing_is_told_nothing() -> None:
    transport = Answers({"/page": b"{}"})
    await login(transport).get("/page")
    assert "authorization" not in transport.requests[0].headers


async def test_a_refused_login_is_asked_twice_and_never_told() -> None:
    door = Door(good_for=0)
    access = login(door, password=SecretStr("gänse:fuß"))
    for tries in (2, 4):
        with pytest.raises(PollFailure) as failure:
            await access.get("/page")
        assert failure.value.kind == "auth"
        assert not failure.value.worth_retrying
        assert len(door.requests) == tries
    assert "gänse" not in str(failure.value)
    assert not any(b"g\xc3\xa4nse" in value for r in door.requests for _, value in r.headers.raw)


@pytest.mark.parametrize(
    ("header", "over", "words"),
    [
        ('Digest realm="r", nonce="{}"', {"password": None}, "set username and password"),
        ('Digest realm="r", nonce="{}"', {"username": None}, "set username and password"),
        ('Basic realm="r{}"', {}, "another way"),
    ],
)
async def test_what_cannot_be_met(header: str, over: dict[str, Any], words: str) -> None:
    door = Door(9, header)
    with pytest.raises(PollFailure, match=words) as failure:
        await login(door, **over).get("/page")
    assert (failure.value.kind, len(door.requests)) == ("auth", 1)
