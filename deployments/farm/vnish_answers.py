"""What VNish REST says, 1.2.7 and 1.3.4: the bodies of its answers, written from a miner's truth.

What differs between the two versions: words for boards, the events of ``/metrics``, and three fields of 1.3.4
(``throttled``, ``restart_count``, the fan mode's ``param``).
"""

from __future__ import annotations

import random
from typing import Any

from deployments.farm.identity import Identity
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import BoardTruth, PoolTruth, Truth

_UNITS = {"GH/s": 1e9, "MH/s": 1e6}

_STATES = {
    "mining": "mining",
    "degraded": "mining",
    "starting": "starting",
    "tuning": "auto-tuning",
    "paused": "stopped",
    "stopped": "stopped",
    "failed": "failure",
}
"""Our word of a state to VNish's, which has none for ``degraded`` and the same for ``paused`` and ``stopped``."""


def is_newer(miner: SimulatedMiner) -> bool:
    """Whether the firmware is 1.3.x."""
    return miner.identity.variant.firmware >= "1.3"


def hashrate_unit(miner: SimulatedMiner, truth: Truth) -> str:
    """What ``hr_measure`` says: the model's unit, or the other one while the unit is switched."""
    own = miner.model.hr_measure
    return own if not truth.unit_switched else next(unit for unit in _UNITS if unit != own)


def info(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """``GET /info``."""
    identity, model = miner.identity, miner.model
    total_kb = 243_704
    free_kb = 170_000 + int(truth.uptime_s) % 7_919
    return {
        "miner": model.full_name, "model": model.code, "fw_name": "Vnish", "fw_version": identity.variant.firmware,
        "build_uuid": "00000000-0000-4000-8000-000000000000", "build_name": "simulated", "platform": "aml",
        "install_type": "nand", "build_time": "2026-01-15 12:00:00", "algorithm": model.algorithm,
        "hr_measure": hashrate_unit(miner, truth),
        "system": {
            "os": "GNU/Linux", "miner_name": model.code, "file_system_version": "", "mem_total": total_kb,
            "mem_free": free_kb, "mem_free_percent": 100 * free_kb // total_kb, "mem_buf": 33_936,
            "mem_buf_percent": 13, "network_status": _network(identity), "uptime": _uptime(truth.uptime_s),
        },
        "serial": identity.serial,
    }  # fmt: skip


def summary(miner: SimulatedMiner, truth: Truth) -> dict[str, Any] | None:
    """``miner`` of ``GET /summary``; None while the mining process is not up: the first quarter of a boot."""
    boot = miner.boot(truth.time)
    return None if truth.time < boot.at + (boot.mines_from - boot.at) / 4 else figures(miner, truth)


def figures(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """``miner`` of ``GET /summary`` whether or not the mining process is up."""
    newer = is_newer(miner)
    unit = _UNITS[hashrate_unit(miner, truth)]
    average = _single(truth.hashrate_average_hs / unit)
    chains = [_chain(board, unit) for board in truth.boards]
    realtime = _single(sum(chain["hashrate_rt"] for chain in chains))
    nominal = _single(sum(chain["hashrate_ideal"] for chain in chains))
    fans = [
        {
            "id": fan.number, "rpm": fan.speed_rpm, "status": "ok" if fan.running else "lost",
            "max_rpm": fan.max_rpm,
        }
        for fan in truth.fans
    ]  # fmt: skip
    per_tera = truth.hashrate_hs / 1e12
    result = {
        "miner_status": miner_status(truth, newer),
        "miner_type": f"{miner.model.full_name} (Vnish {miner.identity.variant.firmware})",
        "hr_stock": _single(miner.model.hashrate_hs / unit),
        "average_hashrate": _single(average / 1000),
        "instant_hashrate": _single(realtime / 1000),
        "hr_realtime": realtime,
        "hr_nominal": nominal,
        "hr_average": average,
        "pcb_temp": _span([board.pcb_temp_min_c for board in truth.boards], [b.pcb_temp_c for b in truth.boards]),
        "chip_temp": _span([board.chip_temp_min_c for board in truth.boards], [b.chip_temp_c for b in truth.boards]),
        "power_consumption": truth.power_w,
        "power_usage": truth.power_w,
        "power_efficiency": round(truth.power_w / per_tera, 6) if per_tera else 0.0,
        "hw_errors_percent": 0.0,
        "hr_error": 0.0,
        "hw_errors": truth.hardware_errors,
        "devfee_percent": round(truth.devfee_percent, 3),
        "devfee": _single(average * truth.devfee_percent / 100),
        "pools": [_pool(pool, truth.time) for pool in truth.pools],
        "cooling": {
            "fan_num": len(fans),
            "fans": fans,
            "settings": {"mode": {"name": "auto", "param": 60} if newer else {"name": "auto"}},
            "fan_duty": round(truth.fan_duty_percent),
        },
        "chains": chains,
        "found_blocks": 0,
        "best_share": int(truth.work_accepted_d1 * 0.7),
        "psu": {
            "temps": dict.fromkeys(("pfc_temp", "llc1_temp", "llc2_temp"), round(truth.ambient_temp_c + 18)),
            "psu_power_metering": True,
        },
    }
    if newer:
        result["restart_count"] = 0
    return result


def boards(miner: SimulatedMiner, truth: Truth) -> list[dict[str, Any]]:
    """``GET /chains`` (1.2.x) or ``/boards`` (1.3.x): every chip of every board; nothing while the miner starts."""
    if summary(miner, truth) is None:
        return []
    unit = _UNITS[hashrate_unit(miner, truth)]
    result = []
    for board in truth.boards:
        dice = random.Random(f"{miner.identity.serial}/{board.number}")
        weights = [dice.uniform(0.97, 1.03) for _ in range(board.chips)]
        scale = board.hashrate_hs / unit / sum(weights)
        low, high = board.chip_temp_min_c or 0.0, board.chip_temp_c or 0.0
        grades = ["red"] * board.chips_red + ["orange"] * board.chips_orange
        volt = round(board.voltage_v * 1000 / board.chips)
        chips = [
            {
                "id": number, "hr": _single(scale * weight), "freq": round(board.frequency_mhz), "volt": volt,
                "temp": round(low + (high - low) * number / (board.chips - 1), 1), "errs": 0,
                "grade": grades[number] if number < len(grades) else "grey", "throttled": False,
            }
            for number, weight in enumerate(weights)
        ]  # fmt: skip
        sensor = {
            "state": "error" if board.lost else "measure", "board": round(board.pcb_temp_c or 0),
            "chip": round(high), "loc": 0,
        }  # fmt: skip
        result.append(
            {
                "id": board.number, "status": _board_status(board, "failure_message"),
                "hr_realtime": _single(board.hashrate_hs / unit),
                "hr_nominal": _single(board.hashrate_nominal_hs / unit), "freq": board.frequency_mhz,
                "sensors": [sensor], "chips": chips,
            }
        )  # fmt: skip
    return result


def history(miner: SimulatedMiner, truth: Truth, time_slice: int, step: int, *, newer: bool) -> dict[str, Any]:
    """``GET /metrics``: what the miner remembers, on a grid of ``step`` seconds; nothing of when it had no power."""
    unit = _UNITS[hashrate_unit(miner, truth)]
    now = int(truth.time)
    first = -(-(now - time_slice) // step) * step
    metrics = []
    for at in range(first, now + 1, step):
        if any(fault.kind == "dead" for fault in miner.active(at)):
            continue
        then = miner.glance(at)
        data = {
            "hashrate": _single(then.hashrate_hs / unit), "pcb_max_temp": round(then.pcb_temp_c),
            "chip_max_temp": round(then.chip_temp_c), "fan_duty": round(then.fan_duty_percent),
            "power_consumption": then.power_w,
        }  # fmt: skip
        metrics.append({"time": at, "data": data})
    part = "board" if newer else "chain"
    words = {"reboot": ("reboot", None), "board_lost": (f"disable_{part}", f"enable_{part}"),
             "paused": ("stop", "start"), "overheating": ("overheat", None), "dead": (None, "start")}  # fmt: skip
    annotations: list[dict[str, Any]] = []
    for fault in miner.faults:
        for edge, word in zip(fault.span, words.get(fault.kind, (None, None)), strict=True):
            if word is not None and now - time_slice <= edge <= now:
                event: dict[str, Any] = {"type": word}
                if fault.board is not None:
                    event[f"{part}_id"] = fault.board
                annotations.append({"time": int(edge), "data": event})
    annotations.sort(key=lambda item: item["time"])
    return {"timezone": "GMT", "metrics": metrics, "annotations": annotations}


def settings(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """``GET /settings``. It carries pool passwords in the clear, as the real one does: a collector must not keep it."""
    network, preset = _network(miner.identity), miner.chosen_preset(truth.time)
    return {
        "miner": {
            "cooling": {"mode": {"name": "auto", "param": 60}, "fan_min_count": 4, "fan_min_duty": 20,
                        "fan_max_duty": 100},
            "misc": {"asic_boost": True, "quiet_mode": False},
            "overclock": {
                "modded_psu": False, "preset": str(preset.power_w),
                "globals": {"volt": preset.voltage_mv, "freq": preset.frequency_mhz},
            },
            "pools": [
                {"url": pool.url, "user": pool.user, "pass": "pool-password"} for pool in truth.pools if not pool.is_fee
            ]
            + [{"url": "", "user": "", "pass": ""}],
        },
        "ui": {"theme": "auto", "locale": "en"},
        "regional": {"timezone": {"current": "GMT"}},
        "network": {
            "hostname": network["hostname"], "dhcp": True, "ipaddress": network["ip"], "netmask": network["netmask"],
            "gateway": network["gateway"], "dnsservers": network["dns"],
        },
    }  # fmt: skip


def miner_status(truth: Truth, newer: bool) -> dict[str, Any]:
    """``miner_status`` of ``/summary``, and most of ``/status``."""
    status: dict[str, Any] = {
        "miner_state": _STATES[truth.state],
        "miner_state_time": max(0, int(truth.time - truth.state_since)),
    }
    if truth.state == "failed":
        status |= {"failure_code": 1, "description": "No working boards"}
    if newer:
        status["throttled"] = 100
    return status


def _board_status(board: BoardTruth, word: str) -> dict[str, Any]:
    if board.lost:
        return {"state": "failure", word: f"board {board.number} does not answer"}
    return {"state": "mining" if board.mining else "stopped"}


def _chain(board: BoardTruth, unit: float) -> dict[str, Any]:
    return {
        "id": board.number,
        "frequency": board.frequency_mhz,
        "voltage": round(board.voltage_v * 1000),
        "power_consumption": board.power_w,
        "hashrate_ideal": _single(board.hashrate_nominal_hs / unit),
        "hashrate_rt": _single(board.hashrate_hs / unit),
        "hashrate_percentage": round(100 * board.hashrate_hs / board.hashrate_nominal_hs, 2),
        "hr_error": 0.0,
        "hw_errors": board.hardware_errors,
        "pcb_temp": _span([board.pcb_temp_min_c], [board.pcb_temp_c]),
        "chip_temp": _span([board.chip_temp_min_c], [board.chip_temp_c]),
        "chip_statuses": {
            "red": board.chips_red,
            "orange": board.chips_orange,
            "grey": board.chips - board.chips_red - board.chips_orange,
        },
        "status": _board_status(board, "description"),
    }


def _span(lows: list[float | None], highs: list[float | None]) -> dict[str, int]:
    """VNish has no word for an unknown temperature: a board that does not answer shows 0."""
    known_lows = [value for value in lows if value is not None]
    known_highs = [value for value in highs if value is not None]
    return {"min": round(min(known_lows, default=0)), "max": round(max(known_highs, default=0))}


def _pool(pool: PoolTruth, now: float) -> dict[str, Any]:
    return {
        "id": pool.slot,
        "url": pool.url,
        "pool_type": "DevFee" if pool.is_fee else "UserPool",
        "user": pool.user,
        "status": pool.status,
        "asic_boost": True,
        "diff": scaled(pool.difficulty) if pool.difficulty else "",
        "accepted": pool.accepted,
        "rejected": pool.rejected,
        "stale": pool.stale,
        "ls_diff": float(pool.difficulty) if pool.accepted else 0.0,
        "ls_time": "0" if pool.last_share_at is None else clock(int(now - pool.last_share_at)),
        "diffa": pool.work_accepted_d1,
        "ping": pool.ping_ms,
    }


def _network(identity: Identity) -> dict[str, Any]:
    return {
        "mac": identity.mac, "dhcp": True, "ip": identity.address, "netmask": "255.0.0.0", "gateway": "127.0.0.1",
        "dns": ["127.0.0.1"], "hostname": identity.miner_id.replace("_", "-"),
    }  # fmt: skip


def _single(value: float) -> float:
    """Eight digits, about what the firmware's 32-bit floats hold."""
    return float(f"{value:.8g}")


def scaled(number: int) -> str:
    """Three digits and a letter, as the firmware shows difficulties: ``262K``, ``16.4K``, ``1.05M``."""
    value = float(number)
    for letter in ("", "K", "M", "G"):
        if value < 1000 or letter == "G":
            break
        value /= 1000
    return f"{number}" if not letter else f"{value:.3g}{letter}"


def clock(seconds: int) -> str:
    """``H:MM:SS``."""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def _uptime(seconds: int) -> str:
    """As ``uptime`` of busybox words it: ``1:55``, ``10 days, 18:00``."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}"
    return clock if not days else f"{days} {'day' if days == 1 else 'days'}, {clock}"
