"""VNish's socket API (port 4028), the shape of cgminer's: one JSON command a connection, one answer, end.

Fields called ``GHS`` hold MH/s on Scrypt machines, here as there. Shapes are those of a recorded S21 Pro on 1.2.7, the
refusal of ``version`` included; commands joined with ``+`` are taken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import msgspec

from deployments.farm.http import Delivery
from deployments.farm.listener import Connection
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import PoolTruth, Truth
from deployments.farm.vnish_answers import figures

_COMMAND_LIMIT = 4096
_DRIP_EVERY_S = 0.1


class SocketConnection(Connection, asyncio.Protocol):
    """One connection: waits for a whole JSON object, answers, and ends."""

    def __init__(self, serve: Callable[[str], Delivery], connections: set[Connection]) -> None:
        super().__init__(connections)
        self._serve = serve
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._received += data
        try:
            command = str(json.loads(self._received.rstrip(b"\x00"))["command"])
        except (ValueError, KeyError, TypeError):
            if len(self._received) > _COMMAND_LIMIT:
                self.abort()
            return
        delivery = self._serve(command)
        if delivery.data is not None:
            pace = delivery.bytes_per_s
            step = max(1, round(pace * _DRIP_EVERY_S)) if pace else len(delivery.data)
            self._timer = asyncio.get_running_loop().call_later(
                delivery.delay_s, self._answer, delivery.data + b"\x00", step
            )

    def _answer(self, data: bytes, step: int) -> None:
        if self.transport is None:
            return
        transport = cast("asyncio.WriteTransport", self.transport)
        transport.write(data[:step])
        if len(data) > step + 1:  # the NUL does not go alone
            self._timer = asyncio.get_running_loop().call_later(_DRIP_EVERY_S, self._answer, data[step:], step)
            return
        transport.write(data[step:])
        transport.close()


def respond(miner: SimulatedMiner, command: str, truth: Truth) -> bytes:
    """The answer to a command at the instant of ``truth``; an unknown one is refused in cgminer's words."""
    if "+" in command:
        parts = {name: [_reply(miner, name, truth)] for name in command.split("+")}
        return msgspec.json.encode({**parts, "id": 1})
    return msgspec.json.encode(_reply(miner, command, truth))


def _reply(miner: SimulatedMiner, command: str, truth: Truth) -> dict[str, Any]:
    answers = {"summary": _summary, "stats": _stats, "pools": _pools, "devdetails": _devdetails}
    if command not in answers:
        return {"STATUS": [_status(truth, "E", 0, "Invalid command")]}
    return answers[command](miner, truth, figures(miner, truth))


def _summary(miner: SimulatedMiner, truth: Truth, stats: dict[str, Any]) -> dict[str, Any]:
    zero = dict.fromkeys(
        ("Getworks", "Utility", "Discarded", "Get Failures", "Local Work", "Remote Failures", "Network Blocks",
         "Total MH", "Work Utility", "Device Rejected%", "Pool Rejected%", "Pool Stale%", "Last getwork",
         "Device Hardware%"), 0,
    )  # fmt: skip
    said = {
        "Elapsed": truth.uptime_s, "GHS 5s": stats["hr_realtime"], "GHS av": stats["hr_average"],
        "GHS 30m": stats["hr_average"], "Found Blocks": 0, "Accepted": sum(pool.accepted for pool in truth.pools),
        "Rejected": truth.shares_rejected, "Stale": truth.shares_stale, "Hardware Errors": truth.hardware_errors,
        "Difficulty Accepted": sum(pool.work_accepted_d1 for pool in truth.pools),
        "Difficulty Rejected": float(truth.shares_rejected * miner.model.difficulty),
        "Difficulty Stale": float(truth.shares_stale * miner.model.difficulty),
        "Best Share": stats["best_share"], "Fee Percent": stats["devfee_percent"],
    }  # fmt: skip
    return {"STATUS": [_status(truth, "S", 11, "Summary")], "SUMMARY": [zero | said], "id": 1}


def _stats(miner: SimulatedMiner, truth: Truth, stats: dict[str, Any]) -> dict[str, Any]:
    head = {
        "Type": stats["miner_type"], "Miner": "0.0.0", "Cgminer": miner.identity.variant.firmware,
        "CompileTime": "2026-01-15 12:00:00",
    }  # fmt: skip
    chains, fans = stats["chains"], truth.fans
    body: dict[str, Any] = {
        "Elapsed": truth.uptime_s, "GHS 5s": f"{stats['hr_realtime']}", "GHS av": stats["hr_average"],
        "fan_num": len(fans), "fan_mode": 0, "fan_pwm": stats["cooling"]["fan_duty"],
        "state": stats["miner_status"]["miner_state"], "total_rate": stats["hr_realtime"],
        "total_rateideal": stats["hr_nominal"], "total_acn": sum(board.chips for board in truth.boards),
    }  # fmt: skip
    for fan in fans:
        body[f"fan{fan.number + 1}"] = fan.speed_rpm
    for board, chain in zip(truth.boards, chains, strict=True):
        n, pcb, chip = board.number, chain["pcb_temp"], chain["chip_temp"]
        body |= {
            f"temp_sens{n}": "m-m-m-m", f"temp{n}": pcb["max"], f"temp2_{n}": chip["max"], f"temp3_{n}": chip["max"],
            f"temp_chip{n}": f"{chip['max']}-{chip['min']}-{chip['max']}-{chip['max']}",
            f"temp_pcb{n}": f"{pcb['max']}-{pcb['min']}-{pcb['max']}-{pcb['max']}",
            f"chain_consumption{n}": chain["power_consumption"], f"chain_hw{n}": chain["hw_errors"],
            f"chain_rateideal{n}": chain["hashrate_ideal"], f"chain_rate{n}": chain["hashrate_rt"],
            f"freq_avg{n}": chain["frequency"], f"chain_vol{n}": chain["voltage"],
            f"chain_state{n}": chain["status"]["state"], f"chain_fault{n}": "", f"chain_acn{n}": board.chips,
        }  # fmt: skip
    return {"STATUS": [_status(truth, "S", 70, "CGMiner stats")], "STATS": [head, body], "id": 1}


def _pools(_miner: SimulatedMiner, truth: Truth, stats: dict[str, Any]) -> dict[str, Any]:
    rows = [_pool(pool, said) for pool, said in zip(truth.pools, stats["pools"], strict=True)]
    return {"STATUS": [_status(truth, "S", 7, f"{len(rows)} Pool(s)")], "POOLS": rows, "id": 1}


def _pool(pool: PoolTruth, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "POOL": pool.slot, "URL": pool.url, "Type": int(pool.is_fee), "User": pool.user, "Status": "Alive",
        "Diff": said["diff"], "Accepted": pool.accepted, "Rejected": pool.rejected, "Stale": pool.stale,
        "Last Share Difficulty": said["ls_diff"], "Last Share Time": said["ls_time"],
        "Stratum Active": pool.status == "active", "Has Vmask": True, "Difficulty Accepted": pool.work_accepted_d1,
        "Difficulty Rejected": float(pool.rejected * pool.difficulty),
        "Difficulty Stale": float(pool.stale * pool.difficulty),
    }  # fmt: skip


def _devdetails(miner: SimulatedMiner, truth: Truth, _stats: dict[str, Any]) -> dict[str, Any]:
    code = miner.model.code
    device = {
        "DEVDETAILS": 0, "Name": f"BTM_{code.upper()}", "ID": 0, "Driver": f"bitmain_{code}_drv", "Kernel": "",
        "Model": "", "Device Path": "",
    }  # fmt: skip
    return {"STATUS": [_status(truth, "S", 69, "Device Details")], "DEVDETAILS": [device], "id": 1}


def _status(truth: Truth, letter: str, code: int, message: str) -> dict[str, Any]:
    return {
        "STATUS": letter, "When": int(truth.time), "Code": code, "Msg": message, "Description": "cgminer 4.11.1",
    }  # fmt: skip
