"""The socket API of stock Antminers: text and numbers mixed, a slot that is not there, no power, no joined commands.

Shapes are those of a recorded S19 Pro.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deployments.farm.antminer_cgi import UNITS, acs
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import PoolTruth, Truth
from deployments.farm.vnish_answers import clock, hashrate_unit, scaled

_SLOTS = 4


def respond(miner: SimulatedMiner, command: str, truth: Truth) -> bytes:
    """The answer to a command at the instant of ``truth``; an unknown one is refused in cgminer's words."""
    answers = {"summary": _summary, "stats": _stats, "pools": _pools, "version": _version}
    if command not in answers:
        return msgspec.json.encode({"STATUS": [_status(truth, "E", 14, "Invalid command")], "id": 1})
    return msgspec.json.encode(answers[command](miner, truth))


def _version(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    return _reply(truth, 22, "CGMiner versions", "VERSION", {"API": "3.1", "BMMiner": "1.0.0"} | _head(miner))


def _summary(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    unit = UNITS[hashrate_unit(miner, truth)]
    return _reply(truth, 11, "Summary", "SUMMARY", {
        "Elapsed": truth.uptime_s, "GHS 5s": round(truth.hashrate_hs / unit, 4),
        "GHS av": round(truth.hashrate_average_hs / unit, 4), "GHS 30m": round(truth.hashrate_average_hs / unit, 4),
        "Found Blocks": 0, "Accepted": truth.shares_accepted, "Rejected": truth.shares_rejected,
        "Stale": truth.shares_stale, "Hardware Errors": truth.hardware_errors,
    })  # fmt: skip


def _stats(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    name = hashrate_unit(miner, truth)
    unit = UNITS[name]
    body: dict[str, Any] = {
        "STATS": 0, "ID": "BTM_SOC0", "Elapsed": truth.uptime_s, "Calls": 0, "Wait": 0, "Max": 0, "Min": 99999999,
        "GHS 5s": round(truth.hashrate_hs / unit, 4), "GHS av": round(truth.hashrate_average_hs / unit, 4),
        "rate_30m": round(truth.hashrate_average_hs / unit, 4), "Mode": 2, "miner_count": len(truth.boards),
        "frequency": miner.preset.frequency_mhz, "fan_num": len(truth.fans),
        "total_rateideal": round(truth.hashrate_nominal_hs / unit, 4), "rate_unit": name.removesuffix("/s"),
    }  # fmt: skip
    for fan in truth.fans:
        body[f"fan{fan.number + 1}"] = fan.speed_rpm
    for n in range(1, max(_SLOTS, len(truth.boards)) + 1):
        board = truth.boards[n - 1] if n <= len(truth.boards) and not truth.boards[n - 1].lost else None
        chip, pcb = (board.chip_temp_c or 0, board.pcb_temp_c or 0) if board else (0, 0)
        body |= {
            f"chain_acn{n}": board.chips if board else 0, f"chain_acs{n}": acs(board) if board else "",
            f"chain_hw{n}": board.hardware_errors if board else 0,
            f"chain_rate{n}": f"{board.hashrate_hs / unit:.4f}" if board else "",
            f"freq{n}": round(board.frequency_mhz) if board else 0,
            f"temp_chip{n}": f"{chip:.0f}-{0.8 * chip:.0f}-{chip:.0f}-{0.9 * chip:.0f}",
            f"temp_pcb{n}": f"{pcb:.0f}-{0.8 * pcb:.0f}-{pcb:.0f}-{0.9 * pcb:.0f}",
        }  # fmt: skip
    return _reply(truth, 70, "CGMiner stats", "STATS", {"BMMiner": "1.0.0"} | _head(miner), body)


def _pools(_miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    return _reply(truth, 7, "Pools", "POOLS", *(_pool(pool, truth.time) for pool in truth.pools))


def _pool(pool: PoolTruth, now: float) -> dict[str, Any]:
    return {
        "POOL": pool.slot, "URL": f"stratum+tcp://{pool.url}", "Status": "Alive", "Priority": pool.slot, "Quota": 1,
        "Accepted": pool.accepted, "Rejected": pool.rejected, "Stale": pool.stale, "User": pool.user,
        "Last Share Time": "0" if pool.last_share_at is None else clock(int(now - pool.last_share_at)),
        "Diff": scaled(pool.difficulty) if pool.difficulty else "",
        "Difficulty Accepted": pool.work_accepted_d1, "Stratum Active": pool.status == "active",
        "Last Share Difficulty": float(pool.difficulty) if pool.accepted else 0.0,
    }  # fmt: skip


def _head(miner: SimulatedMiner) -> dict[str, Any]:
    return {
        "Miner": miner.identity.variant.firmware, "CompileTime": "Tue Dec  6 16:12:30 CST 2022",
        "Type": miner.model.full_name,
    }  # fmt: skip


def _reply(truth: Truth, code: int, message: str, name: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"STATUS": [_status(truth, "S", code, message)], name: list(rows), "id": 1}


def _status(truth: Truth, letter: str, code: int, message: str) -> dict[str, Any]:
    return {"STATUS": letter, "When": int(truth.time), "Code": code, "Msg": message, "Description": "cgminer 1.0.0"}
