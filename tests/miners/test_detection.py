"""Which driver a device wants: by its own words, with no login on a guess, and bounded in what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from storage.records.miner import Miner
from tasks.miners.detection import Identified, Unidentified, identify
from tasks.miners.driver import Target
from tests.miners.device import closed_port

ADDRESS = "127.79.1.1"
ANTHILL = b'<html><head><meta name="firmware" content="AnthillOS"></head></html>'
INFO = {
    "miner": "Antminer S21 Pro", "fw_name": "Vnish", "fw_version": "1.2.7", "hr_measure": "GH/s",
    "system": {"network_status": {"mac": "02:00:5E:10:00:01"}},
}  # fmt: skip
INFO_PAGE = json.dumps(INFO).encode()
DIGEST = 'Digest realm="antMiner Configuration", nonce="n", qop="auth"'
LOGIN = Target(Miner("m", "S19", ""), ADDRESS, f"auto+http://{ADDRESS}", "root", SecretStr("hunter2hunter2"))

Page = bytes | tuple[int, dict[str, str], bytes]


def status(number: int, body: bytes = b"", **headers: str) -> Page:
    return number, {name.replace("_", "-"): value for name, value in headers.items()}, body


class Device(httpx.AsyncBaseTransport):
    """Answers ``pages`` over the web and ``commands`` on its socket; what it lacks is 404, or refused altogether."""

    def __init__(
        self,
        pages: dict[str, Page] | Page | None = None,
        commands: dict[str, Any] | None = None,
        behind_digest: dict[str, Page] | None = None,
    ) -> None:
        self.pages, self.commands, self.behind_digest = pages, commands, behind_digest
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.scheme == "cgminer":
            if self.commands is None:
                raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError()
            command = json.loads(request.content)["command"]
            answer = self.commands.get(command, {"STATUS": [{"STATUS": "E", "Msg": "Invalid command"}]})
            return httpx.Response(200, content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())
        if self.pages is None:
            raise httpx.ReadTimeout("hangs", request=request)
        pages = self.pages
        if self.behind_digest is not None and request.headers.get("authorization", "").startswith("Digest "):
            pages = self.behind_digest
        page = pages.get(request.url.path, status(404)) if isinstance(pages, dict) else pages
        number, headers, body = page if isinstance(page, tuple) else (200, {}, page)
        return httpx.Response(number, headers=headers, content=body)


def version(**row: Any) -> dict[str, Any]:
    return {"STATUS": [{"STATUS": "S", "Msg": "BMMiner versions"}], "VERSION": [row]}


STATS = {"STATUS": [{"STATUS": "S"}], "STATS": [{"Type": "Antminer S21 Pro (Vnish 1.2.7)"}, {"Elapsed": 1}]}


@pytest.mark.parametrize(
    ("make", "driver", "model"),
    [
        (lambda: Device({"/": ANTHILL, "/api/v1/info": INFO_PAGE}), "vnish-rest", "Antminer S21 Pro"),
        (lambda: Device({"/": ANTHILL, "/api/v1/info": status(500)}), "vnish-rest", None),
        (lambda: Device({"/": b"<html/>", "/api/v1/info": INFO_PAGE}), "vnish-rest", "Antminer S21 Pro"),
        (lambda: Device(status(401, www_authenticate='Basic realm="miner"')), "vnish-cgi", None),
        (
            lambda: Device({"/": b"x", "/cgi-bin/stats.cgi": status(401, www_authenticate='Basic realm="VNish"')}),
            "vnish-cgi",
            None,
        ),
        (lambda: Device(status(401, www_authenticate=DIGEST)), "auto", None),
        (
            lambda: Device(status(401, www_authenticate=DIGEST), {"version": version(Type="Antminer S19 Pro")}),
            "antminer-stock",
            "Antminer S19 Pro",
        ),
        (
            lambda: Device(status(401, www_authenticate=DIGEST), {"version": version(Type="Antminer S9")}),
            "antminer-legacy",
            "Antminer S9",
        ),
        (
            lambda: Device(status(401, www_authenticate=DIGEST), {"version": version(Type="Antminer L3+")}),
            "antminer-legacy",
            "Antminer L3+",
        ),
        (
            lambda: Device(status(401, www_authenticate=DIGEST), {"version": version(Type="Antminer L7")}),
            "antminer-stock",
            "Antminer L7",
        ),
        (lambda: Device(None, {"stats": STATS}), "cgminer-socket", "Antminer S21 Pro (Vnish 1.2.7)"),
        (lambda: Device(None, {"version": version(Type="Antminer S19")}), "cgminer-socket", "Antminer S19"),
        (lambda: Device(None, {"version": version(BOSminer="boser 1")}), "asic-rs", None),
        (lambda: Device(None, {"version": b'{"STATUS":[{"Description":"btminer"}]}\x00'}), "asic-rs", None),
        (lambda: Device({"/": b"<title>AxeOS</title>"}), "asic-rs", None),
        (lambda: Device(status(307, location="https://127.79.1.1/cgi-bin/luci")), "asic-rs", None),
    ],
)  # fmt: skip
async def test_miners_are_told_apart(make: Callable[[], Device], driver: str, model: str | None) -> None:
    device = make()
    found = await identify(ADDRESS, device)
    assert isinstance(found, Identified), found
    assert (found.driver, found.model) == (driver, model)
    assert found.evidence
    assert len(device.asked) <= 8
    assert not any("authorization" in request.headers for request in device.asked)


async def test_vnish_says_who_it_is() -> None:
    found = await identify(ADDRESS, Device({"/": ANTHILL, "/api/v1/info": INFO_PAGE}), port=8080)
    assert isinstance(found, Identified)
    assert (found.firmware_version, found.mac, found.port) == ("Vnish 1.2.7", "02005e100001", 8080)


@pytest.mark.parametrize(
    ("device", "reason", "kind"),
    [
        (Device({"/": b"<h1>It works!</h1>"}), "unknown", "refused"),
        (Device(status(401, www_authenticate='Basic realm="Router"')), "unknown", "refused"),
        (Device(status(401, www_authenticate='Digest realm="Printer", nonce="n"')), "unknown", "refused"),
        (Device({"/": b"\x00\xff" * 500}, {"version": b"\xff\xfe", "stats": b"[]"}), "unknown", None),
        (Device(None, {"version": b"220 smtp ready"}), "unknown", "deadline"),
        (Device(None), "no_answer", "deadline"),
    ],
)
async def test_other_devices_are_none_and_are_sent_no_login(device: Device, reason: str, kind: str | None) -> None:
    found = await identify(ADDRESS, device, login=LOGIN)
    assert isinstance(found, Unidentified), found
    assert (found.reason, found.failure.kind if found.failure else None) == (reason, kind)
    assert found.evidence
    assert all(line.isprintable() and len(line) <= 120 for line in found.evidence)
    assert len(device.asked) <= 8
    assert not any("authorization" in request.headers for request in device.asked)


@pytest.mark.parametrize(
    ("path", "driver"),
    [("/cgi-bin/stats.cgi", "antminer-stock"), ("/cgi-bin/get_miner_status.cgi", "antminer-legacy")],
)
async def test_the_login_of_the_address_tells_two_antminers_apart_and_stays_secret(path: str, driver: str) -> None:
    device = Device(status(401, www_authenticate=DIGEST), behind_digest={path: b'{"STATUS": {}}'})
    found = await identify(ADDRESS, device, login=LOGIN)
    assert isinstance(found, Identified)
    assert found.driver == driver
    assert "hunter2hunter2" not in repr([(request.url, request.headers) for request in device.asked])
    assert "hunter2hunter2" not in repr(found)


async def test_a_wrong_login_is_tried_once() -> None:
    device = Device(status(401, www_authenticate=DIGEST))
    found = await identify(ADDRESS, device, login=LOGIN)
    assert isinstance(found, Identified)
    assert found.driver == "auto"
    assert sum("authorization" in request.headers for request in device.asked) == 1


async def test_a_closed_port_is_no_answer() -> None:
    from tasks.miners.transport import AnyTransport

    transport = AnyTransport()
    found = await identify("127.0.0.1", transport, port=closed_port(), socket_port=closed_port())
    await transport.aclose()
    assert isinstance(found, Unidentified)
    assert found.failure is not None
    assert (found.reason, found.failure.kind) == ("no_answer", "refused")
