"""Which driver speaks the dialect of the device at an address, found out with few small requests, likeliest first.

Nothing is asked twice and nothing at once. No login is sent on a guess: only a login that is configured for this very
address, and only by HTTP Digest, which does not give the password away, to a device that names itself an Antminer.
Where each mark was seen: the firmwares' own answers, and how pyasic and asic-rs tell them apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import httpx
import msgspec

from tasks.miners.base_url import SOCKET_PORT, base_url
from tasks.miners.decode import Items, decode
from tasks.miners.digest import DigestAccess
from tasks.miners.driver import PollFailure, Target
from tasks.miners.exchange import Answer, ask
from tasks.normalize.identifier import mac_address, named, text

Reason = Literal["no_answer", "unknown"]
"""``no_answer``: nothing answered, or not in time. ``unknown``: something did that no driver is known for."""

_ANTMINER = re.compile(r'digest\b.*realm="?antminer configuration', re.IGNORECASE)
_DOCUMENTED = re.compile(r'basic\b.*realm="?[^"]*(?:miner|vnish)', re.IGNORECASE)
_LEGACY = re.compile(r"antminer\s+(?:[ST]9|S11|[ST]15|[ST]17|R4|[LDXAE]3|V9|B[37]|Z9|Z11|E3)(?![0-9])", re.IGNORECASE)
"""Machines from before the S19, whose firmware has the old CGI scripts."""

_OTHERS_ON_THE_WEB = (
    (b"braiins", "Braiins OS"),
    (b"bosminer", "Braiins OS"),
    (b"luxor", "LuxOS"),
    (b"luxos", "LuxOS"),
    (b"miner web dashboard", "ePIC"),
    (b"/cgi-bin/luci", "WhatsMiner or Braiins OS"),
    (b"axeos", "Bitaxe"),
    (b"avalon", "Avalon"),
    (b"goldshell", "Goldshell"),
    (b"innosilicon", "Innosilicon"),
    (b"hiveon", "Hiveon"),
    (b"auradine", "Auradine"),
)
_OTHERS_ON_THE_SOCKET = (
    ("BOSMINER", "Braiins OS"),
    ("BOSER", "Braiins OS"),
    ("LUXMINER", "LuxOS"),
    ("BTMINER", "WhatsMiner"),
    ("WHATSMINER", "WhatsMiner"),
    ("AVALON", "Avalon"),
    ("GCMINER", "Auradine"),
)
_CGMINER = ("ANTMINER", "BMMINER", "CGMINER", "SGMINER")
_ONCE_ONLY = re.compile(r',?\s*(?:nonce|opaque|cnonce)="[^"]*"', re.IGNORECASE)
"""What of a challenge is another one each time, and tells nothing."""

_LONGEST_EVIDENCE = 120
_OUT_OF_TIME = ("connect_timeout", "deadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A miner. ``driver`` is ``auto`` for an Antminer that tells only after a login which of two dialects it speaks.

    ``port``: of what the driver asks; None for the usual one. What the device did not say is None.
    """

    address: str
    driver: str
    port: int | None = None
    model: str | None = None
    firmware_version: str | None = None
    mac: str | None = None
    evidence: tuple[str, ...] = ()
    ran_out_of_time: bool = False
    """Whether a request did; with more time the answer may be another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unidentified:
    """No miner that a driver is known for. ``failure`` is why the first request failed that did."""

    address: str
    reason: Reason
    evidence: tuple[str, ...]
    failure: PollFailure | None = None
    ran_out_of_time: bool = False


class _Network(msgspec.Struct):
    mac: str | None = None


class _System(msgspec.Struct):
    network_status: _Network | None = None


class _Info(msgspec.Struct):
    miner: str | None = None
    fw_name: str | None = None
    fw_version: str | None = None
    hr_measure: str | None = None
    system: _System | None = None


class _Named(msgspec.Struct, rename={"type": "Type"}):
    type: str | None = None


class _Socket(msgspec.Struct, rename="upper"):
    version: Annotated[list[_Named], Items] | None = None
    stats: Annotated[list[_Named], Items] | None = None


async def identify(
    address: str,
    transport: httpx.AsyncBaseTransport,
    *,
    scheme: str = "http",
    port: int | None = None,
    socket_port: int | None = SOCKET_PORT,
    web: bool = True,
    login: Target | None = None,
) -> Identified | Unidentified:
    """Ask the device at ``address`` what it is. At most eight requests, one after the other.

    Args:
        transport: speaks every scheme, as tasks.miners.transport.AnyTransport does; its limits are the limits here.
        scheme, port: of the web interface; not asked where ``web`` is false.
        socket_port: None: not asked.
        login: user name and password configured for this address, for HTTP Digest only.
    """
    probe = _Probe(address, transport, scheme=scheme, port=port, socket_port=socket_port, login=login)
    found = await probe.web() if web else None
    if found is None and socket_port is not None:
        found = await probe.socket()
    return found or probe.unidentified()


class _Probe:
    """One identification: what was asked and what came back."""

    def __init__(
        self,
        address: str,
        transport: httpx.AsyncBaseTransport,
        *,
        scheme: str,
        port: int | None,
        socket_port: int | None,
        login: Target | None,
    ) -> None:
        self._address = address
        self._transport = transport
        self._port = port
        self._web = base_url("", address, scheme=scheme, port=port)
        self._socket_port = socket_port
        self._login = login
        self._evidence: list[str] = []
        self._answered = False
        self._failure: PollFailure | None = None
        self._ran_out_of_time = False
        self._antminer = False

    def unidentified(self) -> Identified | Unidentified:
        """What is left when no question is."""
        if self._antminer:
            return self._found("auto", port=self._port)
        reason: Reason = "unknown" if self._answered else "no_answer"
        return Unidentified(
            address=self._address,
            reason=reason,
            evidence=tuple(self._evidence),
            failure=self._failure,
            ran_out_of_time=self._ran_out_of_time,
        )

    async def web(self) -> Identified | None:
        """By the web interface."""
        root = await self._get("/")
        if root is None:
            return None
        if b'content="AnthillOS"' in root.content:
            return await self._vnish() or self._found("vnish-rest", port=self._port)
        found = self._challenged(root)
        if found is None and not self._antminer:
            found = self._other_maker(root) or await self._vnish()
        if found is None and not self._antminer:
            scripts = await self._get("/cgi-bin/stats.cgi")
            found = self._challenged(scripts) if scripts is not None else None
        if self._antminer and self._login is not None:
            found = await self._dialect_of_antminer(self._login)
        return found

    async def socket(self) -> Identified | None:
        """By the socket API: ``version``, and ``stats`` where that is refused, as VNish does."""
        said = ""
        model = None
        for command in ("version", "stats"):
            answer = await self._command(command)
            if answer is None:
                break
            said += answer.upper()
            model = _type_in(answer.encode())
            if model is not None:
                break
        if self._antminer and model is not None:
            return self._found(
                "antminer-legacy" if _LEGACY.match(model) else "antminer-stock", model=model, port=self._port
            )
        for mark, maker in _OTHERS_ON_THE_SOCKET:
            if mark in said:
                self._evidence.append(f"its socket says {maker}")
                return self._found("asic-rs", model=model, port=None)
        if not self._antminer and '"STATUS"' in said and any(mark in said for mark in _CGMINER):
            port = None if self._socket_port == SOCKET_PORT else self._socket_port
            return self._found("cgminer-socket", model=model, port=port)
        return None

    async def _vnish(self) -> Identified | None:
        answer = await self._get("/api/v1/info")
        if answer is None or answer.status != httpx.codes.OK:
            return None
        try:
            info = decode(answer.content, _Info, set(), "/api/v1/info")
        except PollFailure:
            return None
        if info.hr_measure is None or info.fw_version is None:
            return None
        network = info.system.network_status if info.system else None
        return replace(
            self._found("vnish-rest", model=named(info.miner), port=self._port),
            firmware_version=text(" ".join(part for part in (info.fw_name, info.fw_version) if part)),
            mac=mac_address(network.mac) if network else None,
        )

    def _challenged(self, answer: Answer) -> Identified | None:
        """By how it asks for a login."""
        if answer.status != httpx.codes.UNAUTHORIZED:
            return None
        for challenge in answer.headers.get_list("www-authenticate"):
            if _ANTMINER.match(challenge):
                self._antminer = True
            elif _DOCUMENTED.match(challenge):
                return self._found("vnish-cgi", port=self._port)
        return None

    def _other_maker(self, root: Answer) -> Identified | None:
        page = (root.content + root.headers.get("location", "").encode()).lower()
        for mark, maker in _OTHERS_ON_THE_WEB:
            if mark in page:
                self._evidence.append(f"its page says {maker}")
                return self._found("asic-rs", port=None)
        return None

    async def _dialect_of_antminer(self, login: Target) -> Identified | None:
        """With the login of this address: which scripts there are."""
        access = DigestAccess(replace(login, base_url=self._web), self._transport)
        for path, driver in (
            ("/cgi-bin/stats.cgi", "antminer-stock"),
            ("/cgi-bin/get_miner_status.cgi", "antminer-legacy"),
        ):
            try:
                body = await access.get(path)
            except PollFailure as failure:
                self._evidence.append(str(failure))
                if failure.kind not in ("http_status", "not_json"):
                    return None
                continue
            if body.lstrip()[:1] == b"{":
                self._evidence.append(f"GET {path} answers with JSON")
                return self._found(driver, port=self._port)
        return None

    async def _get(self, path: str) -> Answer | None:
        try:
            answer = await ask(self._transport, httpx.Request("GET", self._web + path))
        except PollFailure as failure:
            self._note_failure(failure, f"GET {path}")
            return None
        self._answered = True
        challenges = _ONCE_ONLY.sub("", ", ".join(answer.headers.get_list("www-authenticate")))
        kind = answer.headers.get("server") or answer.headers.get("content-type") or ""
        about = challenges or kind
        self._evidence.append(_short(f"GET {path}: {answer.status}" + (f", {about}" if about else "")))
        return answer

    async def _command(self, command: str) -> str | None:
        url = base_url("cgminer-socket", self._address, port=self._socket_port)
        request = httpx.Request("POST", f"{url}/{command}", content=msgspec.json.encode({"command": command}))
        try:
            answer = await ask(self._transport, request)
        except PollFailure as failure:
            self._note_failure(failure, f"socket {command}")
            return None
        self._answered = True
        said = answer.content.decode("utf-8", "replace")
        self._evidence.append(_short(f"socket {command}: {' '.join(said.split())}"))
        return said

    def _note_failure(self, failure: PollFailure, asked: str) -> None:
        self._evidence.append(_short(f"{asked}: {failure.kind}"))
        self._failure = self._failure or failure
        self._ran_out_of_time |= failure.kind in _OUT_OF_TIME

    def _found(self, driver: str, *, model: str | None = None, port: int | None) -> Identified:
        return Identified(
            address=self._address,
            driver=driver,
            port=port,
            model=named(model),
            evidence=tuple(self._evidence),
            ran_out_of_time=self._ran_out_of_time,
        )


def _type_in(body: bytes) -> str | None:
    """The model in an answer of the socket."""
    try:
        answer = decode(body, _Socket, set(), "socket")
    except PollFailure:
        return None
    return next((row.type for row in (*(answer.version or ()), *(answer.stats or ())) if row.type), None)


def _short(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= _LONGEST_EVIDENCE else shown[: _LONGEST_EVIDENCE - 3] + "..."
