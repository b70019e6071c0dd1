"""Rows that cgminer's kin put into names: ``chain_rate1``, ``chain_rate2``, ``fan3``, ``temp2_7``.

The socket API of Antminers answers like that on all firmwares, and the CGI of the S9 era passes it on as text. Numbers
and strings are mixed, and slots that the machine does not have are listed too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from storage.records.miner import BoardReading, FanReading
from tasks.miners.inferred import board_status, fan_status
from tasks.miners.reading import hottest
from tasks.miners.vnish_words import BOARD_STATES
from tasks.normalize.hashrate import hashrate_hs
from tasks.normalize.number import count, number
from tasks.normalize.temperature import celsius

_MOST = 64
_NUMBERED = re.compile(r"(chain_acn|chain_rate|chain_state|fan)(0|[1-9][0-9]?)")
_SEPARATOR = re.compile(r"(?<=\d)-")
"""Between sensors: ``65-55-65``; in ``-5--4`` the first and the last are signs."""


def board_numbers(body: Mapping[str, Any]) -> set[int]:
    """Slots in which chips were found, or that hash."""
    return {
        n
        for n in _numbers(body, "chain_acn", "chain_rate")
        if (number(body.get(f"chain_acn{n}")) or 0) > 0 or (number(body.get(f"chain_rate{n}")) or 0) > 0
    }


def boards(
    body: Mapping[str, Any],
    factor: float | None,
    known: Iterable[int],
    *,
    hashing: bool | None,
    uptime_s: int | None,
) -> tuple[BoardReading, ...]:
    """Boards by number. ``known``: those that had chips once. A firmware with words for boards lists only boards."""
    present = board_numbers(body) | set(known)
    present |= {n for n in _numbers(body, "chain_state") if body[f"chain_state{n}"] not in ("", None)}
    return tuple(_board(body, n, factor, hashing=hashing, uptime_s=uptime_s) for n in sorted(present))


def fan_numbers(body: Mapping[str, Any]) -> set[int]:
    """Fans that turn."""
    return {n for n in _numbers(body, "fan") if (count(number(body[f"fan{n}"])) or 0) > 0}


def fans(body: Mapping[str, Any], known: Iterable[int], *, hashing: bool | None) -> tuple[FanReading, ...]:
    """Fans by number: those that turn or once did, and as many of the others as ``fan_num`` says there are.

    The S9 lists eight and has two, the third and the sixth. A fan that is left out of the list keeps its place with no
    speed, since that says nothing of whether it turns (UpstreamData/pyasic#141, #309).
    """
    listed = _numbers(body, "fan")
    present = fan_numbers(body) | (set(known) if listed else set())
    missing = max(0, (count(number(body.get("fan_num"))) or 0) - len(present))
    present |= set(sorted(listed - present)[:missing])
    found = []
    for n in sorted(present):
        rpm = count(number(body.get(f"fan{n}")))
        found.append(FanReading(fan=str(n), status=fan_status(rpm, hashing=hashing), speed_rpm=rpm))
    return tuple(found)


def _numbers(body: Mapping[str, Any], *names: str) -> set[int]:
    found = (_NUMBERED.fullmatch(key) for key in body)
    return {int(each[2]) for each in found if each and each[1] in names and int(each[2]) <= _MOST}


def _board(
    body: Mapping[str, Any], n: int, factor: float | None, *, hashing: bool | None, uptime_s: int | None
) -> BoardReading:
    chips, rate = number(body.get(f"chain_acn{n}")), number(body.get(f"chain_rate{n}"))
    if body.get(f"chain_rate{n}") == "":
        rate = 0.0
    word = body.get(f"chain_state{n}")
    if (chips, rate, word) == (None, None, None):
        status = "disconnected"  # it was listed once
    elif word in (None, ""):
        status = board_status(chips, rate, hashing=hashing, asleep=False, uptime_s=uptime_s)
    else:
        status = word if isinstance(word, str) and word in BOARD_STATES else "unknown"
    millivolts = number(body.get(f"chain_vol{n}"))
    dead = str(body.get(f"chain_acs{n}") or "").lower()
    frequency = body.get(f"freq_avg{n}")
    return BoardReading(
        board=str(n),
        status=status,
        hashrate_hs=hashrate_hs(rate, factor),
        hashrate_nominal_hs=hashrate_hs(number(body.get(f"chain_rateideal{n}")), factor),
        pcb_temp_c=_hottest(body, (f"temp_pcb{n}",), (f"temp_in_pcb_{n}", f"temp_out_pcb_{n}"), (f"temp{n}",)),
        chip_temp_c=_hottest(body, (f"temp_chip{n}",), (f"temp_in_chip_{n}", f"temp_out_chip_{n}"), (f"temp2_{n}",)),
        frequency_mhz=number(frequency if frequency is not None else body.get(f"freq{n}")),
        voltage_v=millivolts / 1000.0 if millivolts is not None else None,
        power_w=count(number(body.get(f"chain_consumption{n}"))),
        hardware_errors=count(number(body.get(f"chain_hw{n}"))),
        chips_bad=dead.count("x") if dead else None,
    )


def _hottest(body: Mapping[str, Any], *ways: tuple[str, ...]) -> float | None:
    """The hottest sensor in the first of ``ways`` that measures; 0 is their way to say that nothing is measured.

    Firmwares tell all in one (``"65-55-65"``), or inlet and outlet (256foundation/asic-rs#324), or only one.
    """
    for names in ways:
        found = hottest(celsius(number(part)) or None for name in names for part in _sensors(body.get(name)))
        if found is not None:
            return found
    return None


def _sensors(said: object) -> list[Any]:
    return _SEPARATOR.split(said[:200]) if isinstance(said, str) else [said]
