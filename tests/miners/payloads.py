"""Small answers of our own making, in the shapes that the firmwares' descriptions give; numbers are easy to sum."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import SecretStr

from storage.records.miner import Miner
from tasks.miners.driver import Target

SLOT = 1_800_000_000
MINER = Miner("miner_01", "ANTMINER_S19", "north")


def target(**over: Any) -> Target:
    return Target(MINER, "192.0.2.1", "http://192.0.2.1", **over)


def chain(number: int, **over: Any) -> dict[str, Any]:
    return {
        "id": number, "frequency": 500.0 + number, "voltage": 13_000 + 100 * number, "power_consumption": 1_000,
        "hashrate_ideal": 32_000.0, "hashrate_rt": 31_000.0, "hashrate_percentage": 96.9, "hr_error": 0.0,
        "hw_errors": 10 * number, "pcb_temp": {"min": 40, "max": 50 + number},
        "chip_temp": {"min": 55, "max": 60 + number}, "chip_statuses": {"red": number, "orange": 2, "grey": 70},
        "status": {"state": "mining"},
    } | over  # fmt: skip


def fan(number: int, **over: Any) -> dict[str, Any]:
    return {"id": number, "rpm": 3_000, "status": "ok", "max_rpm": 6_000} | over


def pool(number: int, **over: Any) -> dict[str, Any]:
    return {
        "id": number, "url": "pool.invalid:3333", "pool_type": "UserPool", "user": "account.rig", "status": "active",
        "asic_boost": True, "diff": "65.5K", "accepted": 100, "rejected": 3, "stale": 1, "ls_diff": 65_536.0,
        "ls_time": "0:00:09", "diffa": 6_553_600.0, "ping": 20,
    } | over  # fmt: skip


def stats(**over: Any) -> dict[str, Any]:
    return {
        "miner_status": {"miner_state": "mining", "miner_state_time": 60}, "miner_type": "Antminer S19 (Vnish 1.2.7)",
        "hr_stock": 95_000.0, "average_hashrate": 93.5, "instant_hashrate": 93.0, "hr_realtime": 93_000.0,
        "hr_nominal": 96_000.0, "hr_average": 93_500.0, "pcb_temp": {"min": 40, "max": 53},
        "chip_temp": {"min": 55, "max": 63}, "power_consumption": 3_000, "power_usage": 32, "power_efficiency": 0.03,
        "hw_errors_percent": 0.0, "hr_error": 0.0, "hw_errors": 60, "devfee_percent": 2.8, "devfee": 2_604.0,
        "pools": [
            pool(0),
            pool(1, status="working", accepted=20, rejected=0, stale=0, diff="", ls_diff=0.0, ls_time="0", diffa=0.0,
                 ping=0),
            pool(2, pool_type="DevFee", url="DevFee", user="DevFee", accepted=7_000, ls_time="0:00:01"),
        ],
        "cooling": {"fan_num": 2, "fans": [fan(0), fan(1, rpm=4_500)], "settings": {"mode": {"name": "auto"}},
                    "fan_duty": 60},
        "chains": [chain(1), chain(2), chain(3)], "found_blocks": 0, "best_share": 1_234,
    } | over  # fmt: skip


def summary(**over: Any) -> dict[str, Any]:
    return {"miner": stats(**over)}


def info(**over: Any) -> dict[str, Any]:
    return {
        "miner": "Antminer S19", "model": "s19", "fw_name": "Vnish", "fw_version": "1.2.7", "platform": "aml",
        "install_type": "nand", "build_time": "2025-01-01 00:00:00", "algorithm": "sha256d", "hr_measure": "GH/s",
        "system": {"os": "GNU/Linux", "miner_name": "s19", "uptime": "2 days, 3:04",
                   "network_status": {"mac": "02:00:5E:10:00:AA", "ip": "192.0.2.1", "hostname": "Antminer"}},
        "serial": "N/A",
    } | over  # fmt: skip


def perf(name: str | None = "3000", pretty: str | None = "3000 watt ~ 96 TH", **over: Any) -> dict[str, Any]:
    current = {"name": name, "pretty": pretty, "status": "tuned", "modded_psu_required": False} | over
    return {"current_preset": current, "preset_switcher": {"enabled": False}}


def rest(**over: Any) -> dict[str, Any]:
    """Answers by path of a sound miner; keywords replace: ``summary=...``, ``perf_summary=...``."""
    usual = {"info": info(), "summary": summary(), "perf_summary": perf()} | over
    return {f"/api/v1/{name.replace('_', '-')}": body for name, body in usual.items()}


def cgi_stats(**over: Any) -> dict[str, Any]:
    data = {
        "miner_id": "miner_01", "timestamp": "2026-11-25T02:30:00Z", "hashrate": 93.0, "hashrate_unit": "TH/s",
        "boards": [{"board_id": i, "hashrate": 31.0, "status": "active"} for i in range(3)],
        "temperature": {"ambient": 24.5, "avg_chip": 62.0, "max_chip": 66.5,
                        "board0": {"pcb": 50.0, "chip": 64.0}, "board1": {"pcb": 51.5, "chip": 66.5}, "board2": 49.0},
        "power": {"consumption": 3_000, "efficiency": 99.9, "voltage": 13.2},
        "fans": [{"fan_id": 0, "speed": 5_880, "speed_percent": 90, "status": "ok"},
                 {"fan_id": 1, "speed": 5_940, "speed_percent": 92, "status": "ok"}],
        "pool": {"url": "stratum+tcp://me:secret@pool.invalid:3333", "user": "account.rig", "status": "active"},
        "shares": {"accepted": 100, "rejected": 3, "stale": 1, "last_share_time": "2026-11-25T02:29:51Z"},
        "mining_status": "mining", "uptime": 93_600, "errors": [],
    } | over  # fmt: skip
    return {"status": "success", "data": data}


def cgi_config(**over: Any) -> dict[str, Any]:
    data = {"model": "ANTMINER_S19", "firmware_version": "3.9.0", "frequency": 545.0,
            "overclock_profile": "3250 watt ~ 96 TH", "power_limit": 3_250} | over  # fmt: skip
    return {"status": "success", "data": data}


def cgi(**over: Any) -> dict[str, Any]:
    usual = {"stats": cgi_stats(), "config": cgi_config()} | over
    return {f"/cgi-bin/{name}.cgi": body for name, body in usual.items()}


class Answers(httpx.MockTransport):
    """Answers by path; an int is a status, bytes a body, a callable is asked, an exception raised. Keeps requests."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(self._answer)
        self.answers = answers
        self.requests: list[httpx.Request] = []

    @property
    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/api/v1") for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.answers.get(request.url.path, 404)
        if callable(found):
            found = found(request)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, httpx.Response):
            return found
        if isinstance(found, int):
            return httpx.Response(found)
        return httpx.Response(200, content=found if isinstance(found, bytes) else json.dumps(found).encode())


Answer = Callable[[httpx.Request], Any]
PASSWORD = SecretStr("Passw0rd-of-the-test")
