"""CGI scripts of the makers' own firmware behind HTTP Digest: those since the S19, and those of the S9 era.

Shapes of the newer ones are those of a recorded S19 and ElphaPex DG; of the older ones, as pollers read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployments.farm.digest import DigestDoor
from deployments.farm.http import Request, Response, answer
from deployments.farm.miner import SimulatedMiner
from deployments.farm.truth import BoardTruth, PoolTruth, Truth
from deployments.farm.vnish_answers import clock, hashrate_unit, scaled

UNITS = {"GH/s": 1e9, "MH/s": 1e6}
_LEGACY_FIRST_BOARD = 6
_LEGACY_FANS = (3, 6)

Page = Callable[[SimulatedMiner, Truth], dict[str, Any]]


class _Cgi:
    def __init__(self, miner: SimulatedMiner, pages: dict[str, Page]) -> None:
        self._miner = miner
        self._pages = pages
        self._door = DigestDoor(miner.identity.username, miner.identity.password)

    def respond(self, request: Request, truth: Truth) -> Response:
        """Answer a request at the instant of ``truth``."""
        if "wrong_password" in truth.faults:
            return self._door.refusal(request._replace(headers={}), truth.time) or Response(401)
        refusal = self._door.refusal(request, truth.time)
        if refusal is not None:
            return refusal
        page = self._pages.get(request.path.removeprefix("/cgi-bin/").removesuffix(".cgi"))
        if page is None:
            return Response(404)
        return answer(page(self._miner, truth)) if request.method == "GET" else Response(405)

    def cacheable(self, _request: Request) -> bool:
        """Every answer depends on who asks."""
        return False


class StockCgi(_Cgi):
    """The web server of one miner since the S19."""

    def __init__(self, miner: SimulatedMiner) -> None:
        super().__init__(
            miner,
            {
                "stats": stats,
                "summary": summary,
                "pools": pools,
                "get_system_info": system_info,
                "get_miner_conf": settings,
            },
        )


class LegacyCgi(_Cgi):
    """The web server of one miner of the S9 era."""

    def __init__(self, miner: SimulatedMiner) -> None:
        super().__init__(
            miner,
            {"get_miner_status": miner_status, "get_system_info": system_info, "get_miner_conf": settings},
        )


def stats(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """stats.cgi. ElphaPex lists a slot that the machine does not have, and writes numbers as text here and there."""
    unit = hashrate_unit(miner, truth)
    elphapex = _is_elphapex(miner)
    chains = [_chain(board, UNITS[unit], elphapex=elphapex) for board in truth.boards]
    if elphapex:
        chains.append({
            "index": len(chains), "asic_num": 0, "freq_avg": 0, "hw": 0, "rate_ideal": 0, "rate_real": 0, "sn": "",
            "temp_chip": [""] * 4, "temp_pcb": chains[0]["temp_pcb"],
        })  # fmt: skip
    speeds = [fan.speed_rpm for fan in truth.fans]
    body = _rates(truth, unit) | {
        "chain_num": len(chains),
        "fan_num": len(speeds),
        "fan": [str(speed) for speed in speeds] if elphapex else speeds,
        "hwp_total": 0.0,
        "chain": chains,
    }
    return _head(miner, truth, "stats") | {"STATS": [body]}


def summary(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """summary.cgi."""
    lost = [board.number - 1 for board in truth.boards if board.lost]
    still = [fan.number for fan in truth.fans if not fan.running]
    checks = [
        _check("rate", 1 if lost else 0, f"board {lost} does not answer"),
        _check("network", 0, ""),
        _check("fans", 2 if still else 0, f"fan {still} does not turn"),
        _check("temp", 0, ""),
    ]
    return _head(miner, truth, "summary") | {
        "SUMMARY": [
            _rates(truth, hashrate_unit(miner, truth))
            | {"hw_all": truth.hardware_errors, "bestshare": 0, "status": checks}
        ]
    }


def pools(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """pools.cgi."""
    return _head(miner, truth, "pools") | {"POOLS": [_pool(pool, truth.time) for pool in truth.pools]}


def system_info(miner: SimulatedMiner, _truth: Truth) -> dict[str, Any]:
    """get_system_info.cgi of either."""
    identity, model = miner.identity, miner.model
    algorithm = {"Algorithm": model.algorithm.capitalize()} if _is_elphapex(miner) else {}
    return {
        "minertype": model.full_name, "nettype": "DHCP", "netdevice": "eth0", "macaddr": identity.mac,
        "hostname": identity.miner_id.replace("_", "-"), "ipaddress": identity.address, "netmask": "255.0.0.0",
        "gateway": "127.0.0.1", "dnsservers": "127.0.0.1", "system_mode": "GNU/Linux",
        "system_kernel_version": "Linux 4.9.113", "system_filesystem_version": identity.variant.firmware,
        "firmware_type": "Release", "serinum": identity.serial, **algorithm,
    }  # fmt: skip


def settings(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """get_miner_conf.cgi of either: with the pools' passwords, as there."""
    maker = "fc" if _is_elphapex(miner) else "bitmain"
    return {
        "pools": [
            {"url": f"stratum+tcp://{pool.url}", "user": pool.user, "pass": f"pool-{miner.identity.password}"}
            for pool in truth.pools
        ],
        f"{maker}-fan-ctrl": False,
        f"{maker}-fan-pwm": "100",
        f"{maker}-freq": str(miner.preset.frequency_mhz),
        f"{maker}-voltage": f"{miner.preset.voltage_mv // 10:04}",
        f"{maker}-work-mode": "1" if "paused" in truth.faults else "0",
        f"{maker}-freq-level": "100" if maker == "fc" else "",
    }


def miner_status(miner: SimulatedMiner, truth: Truth) -> dict[str, Any]:
    """get_miner_status.cgi: every value is text, and what cgminer says of the machine stands behind ``freq``."""
    unit = UNITS[miner.model.hr_measure]  # it has no name there, so it is never switched
    found = [board for board in truth.boards if not board.lost]
    behind = _behind_freq(miner, truth, found, unit)
    rates = [round(board.hashrate_hs / unit, 2) for board in found]
    return {
        "summary": {
            "elapsed": str(truth.uptime_s), "ghs5s": f"{sum(rates):,.2f}",
            "ghsav": f"{truth.hashrate_average_hs / unit:.2f}", "foundblocks": "0",
            "accepted": str(truth.shares_accepted), "rejected": str(truth.shares_rejected),
            "hw": str(truth.hardware_errors), "stale": str(truth.shares_stale), "bestshare": "0",
        },
        "pools": [{name: str(value) for name, value in _legacy_pool(pool, truth.time).items()} for pool in truth.pools],
        "devs": [
            {
                "index": str(_number(miner, board)), "chain_acn": str(board.chips), "freq": behind,
                "temp": str(round(board.pcb_temp_c or 0)), "hw": str(board.hardware_errors), "rate": f"{rate:.2f}",
                "chain_acs": acs(board),
            }
            for board, rate in zip(found, rates, strict=True)
        ],
    }  # fmt: skip


def acs(board: BoardTruth) -> str:
    """A letter for each chip, ``x`` for one that is bad."""
    letters = "x" * board.chips_red + "o" * (board.chips - board.chips_red)
    return "".join(f" {letters[start : start + 8]}" for start in range(0, len(letters), 8))


def _behind_freq(miner: SimulatedMiner, truth: Truth, found: list[BoardTruth], unit: float) -> str:
    pairs: dict[str, object] = {"fan_num": len(truth.fans)}
    slots = _LEGACY_FANS if len(truth.fans) == len(_LEGACY_FANS) else range(1, len(truth.fans) + 1)
    pairs |= {f"fan{slot}": 0 for slot in range(1, 9)}
    pairs |= {f"fan{slot}": fan.speed_rpm for slot, fan in zip(slots, truth.fans, strict=True)}
    for board in found:
        n = _number(miner, board)
        pairs |= {
            f"temp{n}": round(board.pcb_temp_c or 0), f"temp2_{n}": round(board.chip_temp_c or 0),
            f"freq_avg{n}": f"{board.frequency_mhz:.2f}", f"chain_acn{n}": board.chips,
            f"chain_hw{n}": board.hardware_errors, f"chain_rate{n}": f"{board.hashrate_hs / unit:.2f}",
        }  # fmt: skip
    said = ",".join(f"{name}={value}" for name, value in pairs.items())
    return f"{miner.preset.frequency_mhz},{said}"


def _number(miner: SimulatedMiner, board: BoardTruth) -> int:
    """An S9 has its boards in slots 6, 7 and 8."""
    return board.number + (_LEGACY_FIRST_BOARD - 1 if miner.model.code == "s9" else 0)


def _is_elphapex(miner: SimulatedMiner) -> bool:
    return miner.model.name.startswith("ELPHAPEX")


def _head(miner: SimulatedMiner, truth: Truth, message: str) -> dict[str, Any]:
    return {
        "STATUS": {"STATUS": "S", "when": int(truth.time), "Msg": message, "api_version": "1.0.0"},
        "INFO": {
            "miner_version": miner.identity.variant.firmware, "CompileTime": "", "type": miner.model.full_name,
        },
    }  # fmt: skip


def _chain(board: BoardTruth, unit: float, *, elphapex: bool) -> dict[str, Any]:
    chip = [board.chip_temp_c or 0, board.chip_temp_min_c or 0] * 2
    pcb = [board.pcb_temp_c or 0, board.pcb_temp_min_c or 0] * 2
    return {
        "index": board.number - 1,
        "freq_avg": 0 if board.lost else 1000 * board.frequency_mhz if elphapex else board.frequency_mhz,
        "rate_ideal": 0.0 if board.lost else round(board.hashrate_nominal_hs / unit, 4),
        "rate_real": round(board.hashrate_hs / unit, 4),
        "asic_num": 0 if board.lost else board.chips,
        "asic": "" if board.lost else acs(board),
        "temp_pic": [round(value) for value in pcb],
        "temp_pcb": [round(value) for value in pcb],
        "temp_chip": [str(round(1000 * value)) if elphapex else round(value) for value in chip],
        "hw": board.hardware_errors,
        "eeprom_loaded": not board.lost,
        "sn": "" if board.lost else f"BOARD{board.number:04}",
        "hwp": 0.0,
    }


def _rates(truth: Truth, unit: str) -> dict[str, Any]:
    average = round(truth.hashrate_average_hs / UNITS[unit], 4)
    return {
        "elapsed": truth.uptime_s,
        "rate_5s": round(truth.hashrate_hs / UNITS[unit], 4),
        "rate_30m": average,
        "rate_avg": average,
        "rate_ideal": round(truth.hashrate_nominal_hs / UNITS[unit], 4),
        "rate_unit": unit,
    }


def _check(kind: str, code: int, message: str) -> dict[str, Any]:
    return {"type": kind, "status": "e" if code else "s", "code": code, "msg": message if code else ""}


def _pool(pool: PoolTruth, now: float) -> dict[str, Any]:
    return {
        "index": pool.slot, "url": f"stratum+tcp://{pool.url}", "user": pool.user, "status": "Alive",
        "priority": pool.slot, "getworks": 0, "accepted": pool.accepted, "rejected": pool.rejected, "discarded": 0,
        "stale": pool.stale, "diff": scaled(pool.difficulty) if pool.difficulty else "", "diff1": 0,
        "diffa": pool.work_accepted_d1, "diffr": 0, "diffs": 0, "lsdiff": pool.difficulty if pool.accepted else 0,
        "lstime": "0" if pool.last_share_at is None else clock(int(now - pool.last_share_at)),
    }  # fmt: skip


def _legacy_pool(pool: PoolTruth, now: float) -> dict[str, Any]:
    said = _pool(pool, now)
    names = ("index", "url", "user", "status", "priority", "accepted", "rejected", "stale", "diff", "lsdiff", "lstime")
    return {name: said[name] for name in names} | {"diffaccepted": said["diffa"]}
