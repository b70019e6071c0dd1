"""HTTP Digest (RFC 7616, and RFC 2617 before it), which stock firmware asks for: MD5 or SHA-256, ``qop=auth``.

The nonce of one challenge is kept and used again with a rising count, so that a poll costs no request more than without
a login. Only when the miner no longer takes it is there a new challenge, once for one request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import httpx

from tasks.miners.driver import PollFailure, Target
from tasks.miners.exchange import Answer, ask, body_of

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_PART = re.compile(r'([A-Za-z0-9_.-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')
"""A word alone begins a challenge; a word with a value belongs to the challenge before it."""


@dataclass(slots=True)
class Challenge:
    """What the miner wants proved. ``uses`` counts the requests that were signed with its nonce.

    Texts are as between the quotes, with their backslashes, as they are hashed and sent back.
    """

    realm: str
    nonce: str
    algorithm: str
    named_algorithm: bool
    opaque: str | None
    qop: Literal["auth"] | None
    uses: int = field(default=0)


def challenge_of(headers: Iterable[str]) -> Challenge | None:
    """The strongest challenge of some ``WWW-Authenticate`` headers that can be met; None where there is none."""
    found = [challenge for header in headers for challenge in _challenges(header)]
    return max(found, key=lambda challenge: challenge.algorithm == "SHA-256", default=None)


def _challenges(header: str) -> Iterable[Challenge]:
    schemes: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(header if header.isprintable() else ""):
        name, quoted, plain = part[1].lower(), part[2], part[3]
        if quoted is None and plain is None:
            schemes.append((name, {}))
        elif schemes:
            schemes[-1][1][name] = quoted if quoted is not None else plain
    for scheme, said in schemes:
        algorithm = said.get("algorithm", "MD5").upper()
        offered = {word.strip().lower() for word in said.get("qop", "").split(",")} - {""}
        if (
            scheme == "digest"
            and "realm" in said
            and said.get("nonce")
            and algorithm in _HASHES
            and (not offered or "auth" in offered)
        ):
            yield Challenge(
                realm=said["realm"],
                nonce=said["nonce"],
                algorithm=algorithm,
                named_algorithm="algorithm" in said,
                opaque=said.get("opaque"),
                qop="auth" if offered else None,
            )


def proof(challenge: Challenge, username: str, password: str, uri: str, *, cnonce: str) -> str:
    """The value of ``Authorization`` for one GET request; counts it."""
    challenge.uses += 1
    count = f"{challenge.uses:08x}"

    def hashed(*parts: str) -> str:
        return _HASHES[challenge.algorithm](":".join(parts).encode())

    login, request = hashed(username, challenge.realm, password), hashed("GET", uri)
    name = username.replace("\\", "\\\\").replace('"', '\\"')
    said = f'Digest username="{name}", realm="{challenge.realm}", nonce="{challenge.nonce}", uri="{uri}"'
    if challenge.qop is None:
        said += f', response="{hashed(login, challenge.nonce, request)}"'
    else:
        response = hashed(login, challenge.nonce, count, cnonce, challenge.qop, request)
        said += f', qop={challenge.qop}, nc={count}, cnonce="{cnonce}", response="{response}"'
    if challenge.named_algorithm:
        said += f", algorithm={challenge.algorithm}"
    if challenge.opaque is not None:
        said += f', opaque="{challenge.opaque}"'
    return said


class DigestAccess:
    """GET requests of one miner, signed as soon as it asks for that."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._transport = transport
        self._challenge: Challenge | None = None

    async def get(self, path: str) -> bytes:
        """The body of ``path``.

        Raises:
            PollFailure: as :func:`ask` and :func:`body_of`; ``auth`` when the miner does not take the login, or asks
                for one that is not configured, or in a way that is not known.
        """
        answer = await self._ask(path)
        if answer.status == httpx.codes.UNAUTHORIZED:
            # There was no nonce yet, or it has worn out: firmwares do not all say ``stale``, so that is tried once.
            self._challenge = self._challenged(path, answer)
            answer = await self._ask(path)
            if answer.status == httpx.codes.UNAUTHORIZED:
                self._challenge = None
                raise PollFailure("auth", f"{path} does not take user name and password of this miner")
        return body_of(answer, path)

    async def _ask(self, path: str) -> Answer:
        headers = {}
        target, challenge = self._target, self._challenge
        if challenge is not None and target.username is not None and target.password is not None:
            password = target.password.get_secret_value()
            said = proof(challenge, target.username, password, path, cnonce=secrets.token_hex(8))
            headers[b"authorization"] = said.encode()
        return await ask(self._transport, httpx.Request("GET", target.base_url + path, headers=headers))

    def _challenged(self, path: str, answer: Answer) -> Challenge:
        if self._target.username is None or self._target.password is None:
            raise PollFailure("auth", f"{path} asks for a login; set username and password of this miner")
        challenge = challenge_of(answer.headers.get_list("www-authenticate"))
        if challenge is None:
            raise PollFailure("auth", f"{path} asks for a login in another way than HTTP Digest with MD5 or SHA-256")
        return challenge
