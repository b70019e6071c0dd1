"""Driver auto: found out at the first poll, remembered, found out again when the firmware is another."""

from __future__ import annotations

import httpx
import pytest

from deployments.farm import Farm
from deployments.farm.models import ALL_VARIANTS
from storage.records.miner import Miner, MinerConfiguration, MinerTelemetry
from tasks.miners import auto
from tasks.miners.auto import Auto
from tasks.miners.base_url import SOCKET_PORT
from tasks.miners.detection import Identified, Unidentified
from tasks.miners.driver import FailureKind, MinerSession, PollFailure, Target
from tasks.miners.fleet import Fleet
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import TickOutcome
from tests.farm.clock import NOON, Clock

MINER = Miner("m", "S19", "")
TARGET = Target(MINER, "127.79.2.1", "auto+http://127.79.2.1:8080")


class Dialect:
    """A driver whose miner answers only while it speaks that dialect."""

    def __init__(self, name: str, speaks: list[str], failure: FailureKind = "http_status") -> None:
        self.name = name
        self.speaks, self.failure = speaks, failure
        self.urls: list[str] = []

    def session(self, target: Target, _transport: httpx.AsyncBaseTransport) -> MinerSession:
        self.urls.append(target.base_url)
        return self

    async def telemetry(self, slot: int) -> MinerTelemetry:
        if self.speaks[0] != self.name:
            raise PollFailure(self.failure, "another dialect")
        return MinerTelemetry(time=slot, miner=MINER, reachable=True, state="mining")

    async def configuration(self, slot: int) -> MinerConfiguration:
        return MinerConfiguration(time=slot, miner=MINER, ip_address=TARGET.address, driver=self.name)


class Site:
    """One miner whose firmware the test changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: FailureKind = "http_status") -> None:
        self.speaks = ["one"]
        self.asked = 0
        self.found = True
        self.one = Dialect("one", self.speaks, failure)
        self.two = Dialect("cgminer-socket", self.speaks, failure)
        monkeypatch.setattr(auto, "identify", self.identify)
        transport = httpx.MockTransport(lambda request: httpx.Response(200, request=request))
        self.session = Auto({"one": self.one, "cgminer-socket": self.two}).session(TARGET, transport)

    @property
    def state(self) -> tuple[int, str | None]:
        """How often it was found out, and what."""
        return self.asked, self.session.detected

    async def identify(self, address: str, *_: object, **more: object) -> Identified | Unidentified:
        self.asked += 1
        assert (more["scheme"], more["port"]) == ("http", 8080)
        if not self.found:
            failure = PollFailure("connect_timeout", "gone")
            return Unidentified(address=address, reason="no_answer", evidence=("GET /: gone",), failure=failure)
        return Identified(address=address, driver=self.speaks[0])


async def test_it_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    for slot in (1, 2, 3):
        assert (await site.session.telemetry(slot)).state == "mining"
    assert (await site.session.configuration(3)).driver == "one"
    assert (site.state, site.one.urls) == ((1, "one"), ["http://127.79.2.1:8080"])


async def test_what_is_remembered_is_not_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    site.session.detected = "one"
    await site.session.telemetry(1)
    assert site.asked == 0


async def test_what_a_later_release_no_longer_has_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    site.session.detected = "a driver of old"
    await site.session.telemetry(1)
    assert site.state == (1, "one")


async def test_the_fleet_may_want_it_found_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    await site.session.telemetry(1)
    site.speaks[0] = "cgminer-socket"
    site.session.detected = None
    await site.session.telemetry(2)
    assert site.state == (2, "cgminer-socket")
    assert site.two.urls == ["cgminer://127.79.2.1:4028"]


@pytest.mark.parametrize("kind", ["http_status", "schema", "not_json", "auth", "refused"])
async def test_a_dialect_that_does_not_fit_three_times_is_found_out_anew(
    monkeypatch: pytest.MonkeyPatch, kind: FailureKind
) -> None:
    site = Site(monkeypatch, kind)
    await site.session.telemetry(1)
    site.speaks[0] = "cgminer-socket"
    for slot in (2, 3, 4):
        with pytest.raises(PollFailure, match="another dialect"):
            await site.session.telemetry(slot)
    assert (await site.session.telemetry(5)).state == "mining"
    assert site.state == (2, "cgminer-socket")


@pytest.mark.parametrize("kind", ["connect_timeout", "deadline", "unreachable"])
async def test_a_miner_without_power_is_not_found_out_anew(monkeypatch: pytest.MonkeyPatch, kind: FailureKind) -> None:
    site = Site(monkeypatch, kind)
    await site.session.telemetry(1)
    site.speaks[0] = "nothing"
    for slot in range(2, 12):
        with pytest.raises(PollFailure):
            await site.session.telemetry(slot)
    assert site.asked == 1


async def test_what_cannot_be_found_out_leaves_what_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    await site.session.telemetry(1)
    site.session.detected, site.found = None, False
    assert (await site.session.telemetry(2)).state == "mining"
    assert site.state == (2, "one")


async def test_at_first_the_failure_is_the_device_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(monkeypatch)
    site.found = False
    with pytest.raises(PollFailure) as failure:
        await site.session.telemetry(1)
    assert failure.value.kind == "connect_timeout"
    site.found, site.speaks[0] = True, "auto"  # an Antminer without a login
    with pytest.raises(PollFailure, match="set username and password") as failure:
        await site.session.telemetry(2)
    assert (failure.value.kind, site.session.detected) == ("auth", None)


async def test_a_fleet_finds_out_and_remembers() -> None:
    web = tuple(variant for variant in ALL_VARIANTS if variant.dialect != "cgminer-socket")
    by_socket = tuple(variant for variant in ALL_VARIANTS if variant.dialect == "cgminer-socket")
    async with (
        Farm(len(web), port=0, clock=Clock(), first_address="127.79.3.1", mix=web) as farm,
        Farm(len(by_socket), port=SOCKET_PORT, clock=Clock(), first_address="127.79.3.101", mix=by_socket) as sockets,
    ):
        written = farm.configuration()["miners"]
        for each in sockets.configuration()["miners"]:
            written.append({**each, "id": f"socket_{each['id']}", "port": farm.port})  # where no web interface is
        miners = [MinerSettings.model_validate({**each, "driver": "auto"}) for each in written]
        fleet = Fleet(miners, FleetSettings())
        outcome = await fleet.tick(int(NOON))
        await fleet.aclose()
        assert outcome.failed_by_reason == {}
        assert [memory.detected for memory in outcome.memories] == [each["driver"] for each in written]
        (configurations,) = (frame for frame in outcome.frames if frame.measurement == "miner_configuration")
        assert set(configurations.columns["driver"]) == {each["driver"] for each in written}


async def test_what_was_found_out_is_known_after_a_restart_and_kept_answers_name_it() -> None:
    async with Farm(1, port=0, clock=Clock(), first_address="127.79.4.1") as farm:
        miner = MinerSettings.model_validate({**farm.configuration()["miners"][0], "driver": "auto"})
        fleet = Fleet([miner], FleetSettings(), payloads="every")
        outcome = await fleet.tick(int(NOON))
        await fleet.aclose()
        assert kept(outcome) == ({"vnish-rest"}, True)
        remembered = {memory.miner_id: {"detected": memory.detected} for memory in outcome.memories}
        again = Fleet([miner], FleetSettings(), remembered=remembered, payloads="every")
        outcome = await again.tick(int(NOON) + 600)
        await again.aclose()
        assert kept(outcome) == ({"vnish-rest"}, False)


def kept(outcome: TickOutcome) -> tuple[set[str], bool]:
    """The drivers that answers are kept under, and whether the first page was asked for: only finding out does that."""
    columns = next(frame for frame in outcome.frames if frame.measurement == "raw_payload").columns
    return set(columns["driver"]), "/" in columns["path"]
