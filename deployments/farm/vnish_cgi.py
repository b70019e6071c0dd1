"""The documented CGI dialect (tasks/miners/vnish_cgi/README.md): two pages behind HTTP Basic."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from deployments.farm.http import Request, Response, answer
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import PoolTruth, Truth

_UNITS = {"TH/s": 1e12, "GH/s": 1e9, "MH/s": 1e6}
_STATES = {"degraded": "mining"}
_UNAUTHORISED = Response(401, headers=(("WWW-Authenticate", 'Basic realm="miner"'),))


class VnishCgi:
    """The web server of one miner."""

    def __init__(self, miner: SimulatedMiner) -> None:
        self._miner = miner
        pair = f"{miner.identity.username}:{miner.identity.password}"
        self._credentials = "Basic " + base64.b64encode(pair.encode()).decode()

    def respond(self, request: Request, truth: Truth) -> Response:
        """Answer a request at the instant of ``truth``."""
        if request.headers.get("authorization") != self._credentials or "wrong_password" in truth.faults:
            return _UNAUTHORISED
        if request.method != "GET":
            return Response(405)
        if request.path == "/cgi-bin/stats.cgi":
            return answer({"status": "success", "data": stats(self._miner, truth)})
        if request.path == "/cgi-bin/config.cgi":
            return answer({"status": "success", "data": configuration(self._miner, truth)})
        return Response(404)

    def cacheable(self, _request: Request) -> bool:
        """Every answer depends on who asks."""
        return False


def hashrate_unit(miner: SimulatedMiner, truth: Truth) -> str:
    """TH/s for SHA-256d and MH/s for Scrypt; GH/s for either while the unit is switched."""
    if truth.unit_switched:
        return "GH/s"
    return "TH/s" if miner.model.algorithm == "sha256d" else "MH/s"


def stats(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """``data`` of ``stats.cgi``."""
    unit = hashrate_unit(miner, truth)
    rates = [round(board.hashrate_hs / _UNITS[unit], 6) for board in truth.boards]
    per_tera = truth.hashrate_hs / 1e12
    voltages = [board.voltage_v for board in truth.boards if board.mining]
    temperature: dict[str, Any] = {
        "ambient": round(truth.ambient_temp_c, 1),
        "avg_chip": _tenth(truth.chip_temp_avg_c),
        "max_chip": _tenth(truth.chip_temp_max_c),
    }
    for board in truth.boards:
        temperature[f"board{board.number - 1}"] = {"pcb": _tenth(board.pcb_temp_c), "chip": _tenth(board.chip_temp_c)}
    return {
        "miner_id": miner.identity.miner_id,
        "timestamp": _iso(truth.time),
        "hashrate": round(sum(rates), 6),
        "hashrate_unit": unit,
        "boards": [
            {
                "board_id": board.number - 1,
                "hashrate": rate,
                "status": "failed" if board.lost else "active" if board.mining else "inactive",
            }
            for board, rate in zip(truth.boards, rates, strict=True)
        ],
        "temperature": temperature,
        "power": {
            "consumption": truth.power_w,
            "efficiency": round(truth.power_w / per_tera, 2) if per_tera else None,
            "voltage": round(sum(voltages) / len(voltages), 3) if voltages else None,
        },
        "fans": [
            {
                "fan_id": fan.number,
                "speed": fan.speed_rpm,
                "speed_percent": round(100 * fan.speed_rpm / fan.max_rpm),
                "status": "ok" if fan.running else "lost",
            }
            for fan in truth.fans
        ],
        "pool": _pool(truth.pools[0]),
        "shares": {
            "accepted": truth.shares_accepted,
            "rejected": truth.shares_rejected,
            "stale": truth.shares_stale,
            "last_share_time": None if truth.pools[0].last_share_at is None else _iso(truth.pools[0].last_share_at),
        },
        "mining_status": _STATES.get(truth.state, truth.state),
        "uptime": truth.uptime_s,
        "errors": _errors(truth),
    }


def configuration(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """``data`` of ``config.cgi``."""
    return {
        "model": miner.model.name,
        "firmware_version": miner.identity.variant.firmware,
        "frequency": float(miner.preset.frequency_mhz),
        "overclock_profile": miner.model.preset_label(miner.preset),
        "power_limit": miner.preset.power_w,
        "voltage": miner.preset.voltage_mv / 1000,
        "mac": miner.identity.mac,
        "serial": miner.identity.serial,
        "algorithm": miner.model.algorithm,
        "pool": _pool(truth.pools[0]),
    }


def _pool(pool: PoolTruth) -> dict[str, str]:
    return {"url": f"stratum+tcp://{pool.url}", "user": pool.user, "status": pool.status}


def _errors(truth: Truth) -> list[dict[str, str]]:
    errors = [
        {"code": "E201", "message": f"board {board.number - 1} does not answer", "severity": "critical"}
        for board in truth.boards
        if board.lost
    ]
    errors += [
        {"code": "W101", "message": f"fan {fan.number} does not turn", "severity": "warning"}
        for fan in truth.fans
        if not fan.running
    ]
    if "overheating" in truth.faults:
        errors.append({"code": "E301", "message": "chips are too hot", "severity": "critical"})
    return errors


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
