"""The driver and what it keeps of one miner between polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import msgspec
from pydantic import SecretStr

from storage.records.miner import MinerConfiguration, MinerTelemetry, PoolReading
from tasks.miners.decode import Shape, decode, decode_list
from tasks.miners.driver import HistoryPoint, PollFailure, PresetChoice, Target
from tasks.miners.exchange import ask, body_of
from tasks.miners.reading import COSTS_ITS_FIELDS
from tasks.miners.vnish_rest.answers import (
    Globals,
    Info,
    LockedOut,
    Metrics,
    MinerStatus,
    OfferedPreset,
    PerfSummary,
    Saved,
    Summary,
    Unlocked,
)
from tasks.miners.vnish_rest.parse import Circumstances, history, not_running, state_of, telemetry
from tasks.normalize.duration import uptime_s
from tasks.normalize.hashrate import hashrate_factor
from tasks.normalize.identifier import algorithm, mac_address, named, text
from tasks.normalize.number import count, finite
from tasks.normalize.preset import Preset, read_preset

_PRESET_EVERY_S = 600
_LOCKED_S = 900
"""No further unlock for so long where the firmware names no time: one more wrong password could lock out people."""

_LONGEST_LOCK_S = 86_400
_REMEMBERS_S = 259_200


class VnishRest:
    """VNish REST, 1.2.x and 1.3.x."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return "vnish-rest"

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> VnishRestSession:
        """Open the books of one miner; sends nothing."""
        return VnishRestSession(target, transport)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a poll saw that belongs to the configuration, kept for the read of the same slot."""

    slot: int
    info: Info | None
    pool: PoolReading | None
    frequency_mhz: float | None
    voltage_v: float | None


class VnishRestSession:
    """One miner: its prepared requests, its access, its unit, its preset."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._access = _Access(target, transport)
        self._factor: float | None = None
        self._boards_seen = 0
        self._preset = _PresetRead(None, None, read_preset(None, None), None, frozenset())
        self._seen: _Seen | None = None

    async def telemetry(self, slot: int) -> MinerTelemetry:
        """Read ``/info`` and ``/summary``, and ``/perf-summary`` when the state changed or ten minutes have passed.

        Without ``/info`` of this poll the unit is the one known before; a hashrate whose unit was never known is null.
        """
        flags: set[str] = set()
        info = await self._secondary("/info", Info, slot, flags)
        up = uptime_s(info.system.uptime) if info and info.system else None
        if info is not None:
            self._factor = hashrate_factor(info.hr_measure)
        stats = decode(await self._access.get("/summary", slot), Summary, flags, "/summary").miner
        if isinstance(stats, msgspec.UnsetType) or (stats is None and "unreadable:miner" in flags):
            raise PollFailure("schema", "/summary has no object 'miner'")
        if stats is None:
            status = await self._secondary("/status", MinerStatus, slot, set())
            self._seen = _Seen(slot, info, None, None, None)
            return not_running(slot, self._target.miner, status, up)

        state = state_of(stats.miner_status)
        if not self._preset.holds(slot, state):
            await self._read_preset(slot, state)
        flags |= self._preset.flags
        if not flags:  # a mended answer may show boards that are none
            self._boards_seen = max(self._boards_seen, len(stats.chains or ()))
        circumstances = Circumstances(self._factor, up, self._preset.preset, self._boards_seen)
        record = telemetry(slot, self._target.miner, stats, circumstances, flags)
        own = next((pool for pool in record.pools if not pool.is_fee), None)
        self._seen = _Seen(slot, info, own, record.frequency_mhz, record.voltage_v)
        return record

    async def configuration(self, slot: int) -> MinerConfiguration:
        """Read what the miner is set to. After this slot's telemetry that costs ``/perf-summary`` at most."""
        if self._seen is None or self._seen.slot != slot:
            await self.telemetry(slot)
        if self._preset.slot != slot:
            await self._read_preset(slot, self._preset.state)
        seen, self._seen = self._seen, None
        info, preset, settings = seen.info if seen else None, self._preset.preset, self._preset.globals
        network = info.system.network_status if info and info.system else None
        frequency = finite(settings.freq) if settings else None
        voltage = finite(settings.volt) if settings else None
        return MinerConfiguration(
            time=slot,
            miner=self._target.miner,
            ip_address=self._target.address,
            driver="vnish-rest",
            model_reported=named(info.miner) if info else None,
            firmware_version=text(" ".join(part for part in (info.fw_name, info.fw_version) if part)) if info else None,
            algorithm=algorithm(info.algorithm) if info else None,
            mac=mac_address(network.mac) if network else None,
            serial=named(info.serial) if info else None,
            overclock_profile=text(preset.label),
            frequency_mhz=frequency or (seen.frequency_mhz if seen else None),
            voltage_v=voltage / 1000.0 if voltage else (seen.voltage_v if seen else None),
            power_limit_w=preset.power_w,
            pool_url=seen.pool.url if seen and seen.pool else None,
            pool_user=seen.pool.user if seen and seen.pool else None,
            pool_status=seen.pool.status if seen and seen.pool else None,
        )

    @property
    def remembers_s(self) -> int:
        """Three days."""
        return _REMEMBERS_S

    async def history(self, slot: int, back_s: int, step_s: int) -> list[HistoryPoint]:
        """Read ``/metrics``, and ``/info`` for its unit."""
        info = decode(await self._access.get("/info", slot), Info, set(), "/info")
        path = f"/metrics?time_slice={min(back_s, _REMEMBERS_S)}&step={step_s}"
        metrics = decode(await self._access.get(path, slot), Metrics, set(), "/metrics")
        return history(metrics, hashrate_factor(info.hr_measure))

    async def presets(self, slot: int) -> list[PresetChoice]:
        """Read ``/autotune/presets``, which needs a credential, and ``/perf-summary`` for the one in use."""
        offered = decode_list(await self._access.get("/autotune/presets", slot), OfferedPreset, "/autotune/presets")
        perf = decode(await self._access.get("/perf-summary", slot), PerfSummary, set(), "/perf-summary")
        current = perf.current_preset.name if perf.current_preset else None
        found = []
        for one in offered:
            if one.name is None:
                continue
            preset = read_preset(one.name, one.pretty)
            found.append(
                PresetChoice(
                    name=str(one.name),
                    label=preset.label or str(one.name),
                    power_w=preset.power_w,
                    in_use=current is not None and str(one.name) == str(current),
                    tuned=one.status == "tuned",
                    needs_other_psu=bool(one.modded_psu_required),
                )
            )
        return found

    async def choose_preset(self, name: str, slot: int) -> None:
        """``POST /settings``, and ``/mining/restart`` where it says that it takes one."""
        body = msgspec.json.encode({"miner": {"overclock": {"preset": name}}})
        saved = decode(await self._access.post("/settings", body, slot), Saved, set(), "/settings")
        if saved.reboot_required:
            raise PollFailure(
                "schema", f"preset {name} is saved, and holds only after a reboot, which is not done here"
            )
        if saved.restart_required:
            try:
                await self.restart_mining(slot)
            except PollFailure as failure:
                raise PollFailure(
                    failure.kind, f"preset {name} is saved, and the mining was not restarted: {failure.detail}"
                ) from failure

    async def restart_mining(self, slot: int) -> None:
        """``POST /mining/restart``; its answer may be empty."""
        await self._access.post("/mining/restart", b"", slot)

    async def _secondary(self, path: str, shape: type[Shape], slot: int, flags: set[str]) -> Shape | None:
        """The answer of a path that a poll can do without: a wrong answer is a flag, no answer is a failure."""
        try:
            return decode(await self._access.get(path, slot), shape, flags, path)
        except PollFailure as failure:
            if failure.kind not in COSTS_ITS_FIELDS:
                raise
            flags.add(f"no{path.replace('/', '_').replace('-', '_')}")
            return None

    async def _read_preset(self, slot: int, state: str | None) -> None:
        flags: set[str] = set()
        perf = await self._secondary("/perf-summary", PerfSummary, slot, flags)
        current = perf.current_preset if perf else None
        preset = read_preset(current.name, current.pretty) if current else read_preset(None, None)
        self._preset = _PresetRead(slot, state, preset, current.globals if current else None, frozenset(flags))


@dataclass(frozen=True, slots=True)
class _PresetRead:
    """The preset in use, when it was read, and in which state of the miner."""

    slot: int | None
    state: str | None
    preset: Preset
    globals: Globals | None
    flags: frozenset[str]

    def holds(self, slot: int, state: str | None) -> bool:
        return self.slot is not None and 0 <= slot - self.slot < _PRESET_EVERY_S and state == self.state


class _Access:
    """Requests of one miner, first without any credential, since reading needs none; with one once the miner asks."""

    def __init__(self, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._transport = transport
        self._headers: dict[str, str] = {}
        self._requests: dict[str, httpx.Request] = {}
        self._locked = range(0)
        """Slots in which no unlock is tried. A clock that is set back to before them ends them."""

    async def get(self, path: str, slot: int) -> bytes:
        """The body of ``path``. On 401 the miner is unlocked, once, and asked again.

        Raises:
            PollFailure: as :func:`ask` and :func:`body_of`; ``auth`` when there is no credential that opens it.
        """
        return await self._asked(lambda: self._request(path), path, slot)

    async def post(self, path: str, body: bytes, slot: int) -> bytes:
        """The body of the answer to ``body``. It is sent again only after a 401, by which nothing was done.

        Raises:
            PollFailure: as :meth:`get`.
        """

        def request() -> httpx.Request:
            headers = {**self._headers, "content-type": "application/json"}
            return httpx.Request("POST", f"{self._target.base_url}/api/v1{path}", headers=headers, content=body)

        return await self._asked(request, path, slot)

    async def _asked(self, request: Callable[[], httpx.Request], path: str, slot: int) -> bytes:
        answer = await ask(self._transport, request())
        if answer.status == httpx.codes.UNAUTHORIZED:
            await self._open(path, slot)
            answer = await ask(self._transport, request())
            if answer.status == httpx.codes.UNAUTHORIZED:
                used = "the configured api_key" if self._target.api_key is not None else "the token it gave"
                raise PollFailure("auth", f"{path} refuses {used}")
        return body_of(answer, path)

    def _request(self, path: str) -> httpx.Request:
        request = self._requests.get(path)
        if request is None:
            request = httpx.Request("GET", f"{self._target.base_url}/api/v1{path}", headers=self._headers)
            self._requests[path] = request
        return request

    async def _open(self, path: str, slot: int) -> None:
        if self._target.api_key is not None:
            self._use({"x-api-key": self._target.api_key.get_secret_value()})
        elif self._target.password is not None:
            self._use({"authorization": f"Bearer {await self._unlock(self._target.password, slot)}"})
        else:
            raise PollFailure("auth", f"{path} asks for a credential; set password or api_key of this miner")

    async def _unlock(self, password: SecretStr, slot: int) -> str:
        if slot in self._locked:
            wait = self._locked.stop - slot
            raise PollFailure("auth", f"unlocking was refused; the next try is in {wait} s")
        answer = await ask(
            self._transport,
            httpx.Request(
                "POST",
                f"{self._target.base_url}/api/v1/unlock",
                headers={"content-type": "application/json"},
                content=msgspec.json.encode({"pw": password.get_secret_value()}),
            ),
        )
        if answer.status in (httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS):
            self._locked = range(slot, slot + _lock_time(answer.content))
            why = "the password is wrong" if answer.status == httpx.codes.FORBIDDEN else "too many attempts"
            raise PollFailure("auth", f"/unlock answered {answer.status}: {why}")
        token = decode(body_of(answer, "/unlock"), Unlocked, set(), "/unlock").token
        if not token or not token.isascii() or not token.isprintable():
            raise PollFailure("schema", "/unlock answered without a token")
        return token

    def _use(self, headers: dict[str, str]) -> None:
        self._headers = headers
        self._requests.clear()


def _lock_time(body: bytes) -> int:
    """Seconds the firmware asks to wait, from the body of a 403 or 429."""
    try:
        asked = count(decode(body, LockedOut, set(), "/unlock").unlock_timeout)
    except PollFailure:
        asked = None
    return min(asked, _LONGEST_LOCK_S) if asked else _LOCKED_S
