"""Small answers of our own making in the shapes of stock Antminers: CGI, CGI of the S9 era, socket."""

from __future__ import annotations

import json
from typing import Any


def stock_chain(index: int, **over: Any) -> dict[str, Any]:
    return {
        "index": index, "freq_avg": 500 + index, "rate_ideal": 32_000.0, "rate_real": 31_000.0, "asic_num": 76,
        "temp_pic": [40, 41], "temp_pcb": [45, 50 + index, 0], "temp_chip": [60, 65 + index, 0], "hw": 10 + index,
        "eeprom_loaded": True, "sn": f"BOARD{index}", "hwp": 0.0,
    } | over  # fmt: skip


def stock_stats(**over: Any) -> dict[str, Any]:
    body = {
        "elapsed": 93_600, "rate_5s": 93_000.0, "rate_30m": 93_100.0, "rate_avg": 93_500.0, "rate_ideal": 96_000.0,
        "rate_unit": "GH/s", "chain_num": 3, "fan_num": 2, "fan": [5_880, 5_940], "hwp_total": 0.0,
        "chain": [stock_chain(0), stock_chain(1), stock_chain(2)],
    } | over  # fmt: skip
    info = {"miner_version": "uart_trans.1.3", "CompileTime": "", "type": "Antminer S19"}
    return {"STATUS": {"STATUS": "S", "Msg": "stats"}, "INFO": info, "STATS": [body]}


def stock_summary(*checks: dict[str, Any], **over: Any) -> dict[str, Any]:
    usual = [{"type": kind, "status": "s", "code": 0, "msg": ""} for kind in ("rate", "network", "fans", "temp")]
    return {"SUMMARY": [{"elapsed": 93_600, "hw_all": 40, "status": list(checks) or usual} | over]}


def stock_pool(index: int, **over: Any) -> dict[str, Any]:
    return {
        "index": index, "url": "stratum+tcp://me:secret@pool.invalid:3333", "user": "account.rig", "status": "Alive",
        "priority": index, "getworks": 9, "accepted": 100, "rejected": 3, "discarded": 8, "stale": 1, "diff": "65.5K",
        "diff1": 0, "diffa": 6_553_600, "diffr": 196_608, "diffs": 65_536, "lsdiff": 65_536, "lstime": "0:00:09",
    } | over  # fmt: skip


def stock_pools(*pools: dict[str, Any]) -> dict[str, Any]:
    spare = stock_pool(1, accepted=20, rejected=0, stale=0, diff="", diffa=0, lsdiff=0, lstime="0")
    return {"POOLS": list(pools) or [stock_pool(0), spare, stock_pool(2, status="Dead", accepted=0, lstime="")]}


def system_info(**over: Any) -> dict[str, Any]:
    return {
        "minertype": "Antminer S19", "macaddr": "02:00:5E:10:00:0A", "hostname": "Antminer",
        "system_filesystem_version": "Tue Jan 13 12:00:00 CST 2026", "firmware_type": "Release", "serinum": "SN1",
    } | over  # fmt: skip


def settings(**over: Any) -> dict[str, Any]:
    return {
        "pools": [{"url": "stratum+tcp://pool.invalid:3333", "user": "account.rig", "pass": "S3cret}{pool"}],
        "bitmain-freq": "545", "bitmain-voltage": "1360", "bitmain-work-mode": "0", "bitmain-freq-level": "",
    } | over  # fmt: skip


def stock(**over: Any) -> dict[str, Any]:
    """Answers by path of a sound miner; keywords replace: ``stats=...``, ``get_miner_conf=...``."""
    usual = {
        "stats": stock_stats(), "summary": stock_summary(), "pools": stock_pools(),
        "get_system_info": system_info(), "get_miner_conf": settings(),
    } | over  # fmt: skip
    return {f"/cgi-bin/{name}.cgi": body for name, body in usual.items()}


BEHIND_FREQ = (
    "650,fan_num=2,fan1=0,fan3=4080,fan6=4560,temp_num=3,temp6=60,temp7=61,temp8=62,temp2_6=75,temp2_7=76,temp2_8=77,"
    "freq_avg6=650.00,freq_avg7=643.19,freq_avg8=650.00,chain_acn6=63,chain_acn7=63,chain_acn8=63,chain_acn9=0,"
    "chain_hw6=1,chain_hw7=2,chain_hw8=3,chain_rate6=4500.10,chain_rate7=4490.20,chain_rate8=4510.30,chain_rate9="
)


def legacy_status(**over: Any) -> dict[str, Any]:
    summary = {
        "elapsed": "93600", "ghs5s": "13,500.60", "ghsav": "13450.25", "foundblocks": "0", "accepted": "121",
        "rejected": "3", "hw": "6", "stale": "1", "diffaccepted": "6553600", "bestshare": "99",
    }  # fmt: skip
    pool = {
        "index": "0", "url": "stratum+tcp://pool.invalid:3333", "user": "account.rig", "status": "Alive",
        "priority": "0", "accepted": "121", "rejected": "3", "stale": "1", "diff": "65.5K", "diffaccepted": "6553600",
        "lsdiff": "65536", "lstime": "0:00:09",
    }  # fmt: skip
    devs = [
        {"index": str(n), "chain_acn": "63", "freq": BEHIND_FREQ, "temp": str(54 + n), "hw": str(n - 5),
         "rate": f"{4_500 + n}.5", "chain_acs": " oooooxoo oooooooo"}
        for n in (6, 7, 8)
    ]  # fmt: skip
    return {"summary": summary, "pools": [pool], "devs": devs} | over


def legacy(**over: Any) -> dict[str, Any]:
    usual = {
        "get_miner_status": legacy_status(), "get_system_info": system_info(minertype="Antminer S9"),
        "get_miner_conf": settings(**{"bitmain-freq": "650", "bitmain-voltage": "0890"}),
    } | over  # fmt: skip
    return {f"/cgi-bin/{name}.cgi": body for name, body in usual.items()}


def said(name: str, *rows: dict[str, Any], letter: str = "S", code: int = 11, msg: str = "ok") -> dict[str, Any]:
    status = {"STATUS": letter, "When": 1_800_000_000, "Code": code, "Msg": msg, "Description": "cgminer 1.0.0"}
    return {"STATUS": [status], "id": 1} | ({name: list(rows)} if letter == "S" else {})


REFUSED = said("", letter="E", code=14, msg="Invalid command")


def socket_body(**over: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "STATS": 0, "ID": "BC50", "Elapsed": 93_600, "GHS 5s": "93000.00", "GHS av": 93_500.0, "rate_unit": "GH",
        "fan_num": 2, "fan1": 5_880, "fan2": "5940", "total_rateideal": 96_000.0, "frequency": 545,
    }  # fmt: skip
    for n in (1, 2, 3):
        body |= {
            f"chain_acn{n}": 76, f"chain_rate{n}": f"{31_000 + n}.00", f"chain_hw{n}": 10 * n, f"freq{n}": 545,
            f"chain_acs{n}": " ooooxooo oooooooo", f"temp_pcb{n}": f"45-{50 + n}-0-0",
            f"temp_chip{n}": f"60-{65 + n}-0-0",
        }  # fmt: skip
    body |= {"chain_acn4": 0, "chain_rate4": "", "chain_acs4": "", "temp_pcb4": "0-0-0-0", "temp_chip4": "0-0-0-0"}
    return body | over


def socket_stats(kind: str | None = "Antminer S19", **over: Any) -> dict[str, Any]:
    return said("STATS", {"Miner": "49.0.1.3", "Type": kind} if kind else {}, socket_body(**over))


def socket_summary(**over: Any) -> dict[str, Any]:
    return said("SUMMARY", {
        "Elapsed": 93_600, "GHS 5s": 93_000.0, "GHS av": 93_500.0, "Accepted": "  5.0000", "Rejected": 3, "Stale": 1,
        "Hardware Errors": 60,
    } | over)  # fmt: skip


def socket_pool(number: int, **over: Any) -> dict[str, Any]:
    return {
        "POOL": number, "URL": "stratum+tcp://pool.invalid:3333", "User": "account.rig", "Status": "Alive",
        "Diff": "65.5K", "Accepted": 100, "Rejected": 3, "Stale": 1, "Last Share Difficulty": 65_536.0,
        "Last Share Time": "0:00:09", "Stratum Active": True, "Difficulty Accepted": 6_553_600.0,
    } | over  # fmt: skip


def socket_pools() -> dict[str, Any]:
    spare = socket_pool(1, Accepted=20, Rejected=0, Stale=0, Diff="", **{"Stratum Active": False})
    fee = socket_pool(2, Type=1, URL="DevFee", User="DevFee", Accepted=7_000)
    return said("POOLS", socket_pool(0), spare | {"Last Share Time": "0", "Difficulty Accepted": 0.0}, fee)


def socket(**over: Any) -> dict[str, Any]:
    """Replies by command of a miner that does not take joined ones."""
    version = said("VERSION", {"API": "3.1", "Miner": "49.0.1.3", "Type": "Antminer S19"})
    usual = {"stats": socket_stats(), "summary": socket_summary(), "pools": socket_pools(), "version": version} | over
    replies = {f"/{name}": body for name, body in usual.items()}
    return {"/stats+summary+pools": REFUSED, "/version+stats": REFUSED} | replies


def joined(**replies: Any) -> bytes:
    return json.dumps({name: [reply] for name, reply in replies.items()} | {"id": 1}).encode()
