"""This host as its kernel tells: processors, memory, disk, heat, clock. What it does not tell is None with a reason.

Linux tells it under ``/proc`` and ``/sys``; elsewhere only load, processors and disk are known. Sources: proc(5),
the kernel's documentation of ``thermal`` and ``cgroup v2``, and the firmware of the Raspberry Pi for
``get_throttled`` (bit 0 too little voltage, 1 clock capped, 2 throttled, 3 soft limit of temperature; the same from
bit 16 on since the start, which are left out).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_UNDER_VOLTAGE, _SLOWED = 0b0001, 0b1110
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
"""A sensor that tells less or more is broken: 0x7fff is read as 32,767 degrees."""
_IDLE, _IOWAIT = 3, 4
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
"""Unit of times in /proc, seconds."""
_WHOLE = 8
"""Of the times in ``cpu`` of /proc/stat the first eight make up the whole; guests are in user and nice already."""
_STA_UNSYNC, _TIME_ERROR = 0x0040, 5


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Time that all processors together spent since the start, seconds: ``busy_s`` of ``whole_s``."""

    busy_s: float
    whole_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """What the kernel knows of the clock: whether something keeps it right, and the error it may have, seconds."""

    synchronised: bool
    error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """The host now. Sizes are bytes; memory is that of the control group where it has a limit of its own.

    ``reasons``: why something is None, by field.
    """

    cpus: int
    load_1m: float
    cpu: CpuTimes | None
    memory_total: int | None
    memory_available: int | None
    swap_used: int | None
    disk_total: int
    disk_free: int
    temperature_c: float | None
    throttled: bool | None
    under_voltage: bool | None
    uptime_s: int | None
    clock: Clock | None
    reasons: Mapping[str, str]


def look(data_directory: Path, *, root: Path = Path("/"), clock: Callable[[], Clock | str] | None = None) -> HostState:
    """How this host stands. ``root`` holds ``proc`` and ``sys``; ``clock`` tells of the clock, or why it cannot."""
    reasons: dict[str, str] = {}
    told = (clock or kernel_clock)()
    if isinstance(told, str):
        reasons["clock"] = told
    where = next(folder for folder in (data_directory, *data_directory.parents) if folder.exists())
    volume = os.statvfs(where)
    total, available, swap = _memory(root, reasons)
    throttled, under_voltage = _throttling(root / "sys", reasons)
    return HostState(
        cpus=os.cpu_count() or 1,
        load_1m=os.getloadavg()[0],
        cpu=_cpu_times(root / "proc", reasons),
        memory_total=total,
        memory_available=available,
        swap_used=swap,
        disk_total=volume.f_blocks * volume.f_frsize,
        disk_free=volume.f_bavail * volume.f_frsize,
        temperature_c=_temperature(root / "sys", reasons),
        throttled=throttled,
        under_voltage=under_voltage,
        uptime_s=_uptime(root / "proc", reasons),
        clock=None if isinstance(told, str) else told,
        reasons=reasons,
    )


def kernel_clock() -> Clock | str:
    """What ``adjtimex`` tells without changing anything (adjtimex(2)); a text: why it cannot."""
    if sys.platform != "linux":
        return "no_kernel_clock"
    state = _Timex()
    outcome = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    if outcome < 0:
        return "not_allowed"
    unsynchronised = outcome == _TIME_ERROR or bool(state.status & _STA_UNSYNC)
    return Clock(synchronised=not unsynchronised, error_s=state.maxerror / 1e6)


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2); ``modes`` 0 only asks. The kernel writes more behind ``status``, hence ``rest``."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def _cpu_times(proc: Path, reasons: dict[str, str]) -> CpuTimes | None:
    text = _read(proc / "stat")
    if text is None:
        reasons["cpu"] = "no_proc"
        return None
    times = [int(word) for word in text.split("\n", 1)[0].split()[1 : 1 + _WHOLE]]
    whole = sum(times)
    return CpuTimes(busy_s=(whole - times[_IDLE] - times[_IOWAIT]) * TICK_S, whole_s=whole * TICK_S)


def _memory(root: Path, reasons: dict[str, str]) -> tuple[int | None, int | None, int | None]:
    text = _read(root / "proc" / "meminfo")
    if text is None:
        reasons["memory"] = "no_proc"
        return None, None, None
    sizes: dict[str, int] = {}
    for name, _, rest in (line.partition(":") for line in text.splitlines()):
        if (size := _number(rest.split()[0] if rest.split() else "")) is not None:
            sizes[name] = 1024 * size
    swap = sizes["SwapTotal"] - sizes["SwapFree"] if {"SwapTotal", "SwapFree"} <= sizes.keys() else None
    if not {"MemTotal", "MemAvailable"} <= sizes.keys():  # some containers show a part of it
        reasons["memory"] = "not_told"
        return None, None, swap
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    limit, free = _control_group(root / "sys" / "fs" / "cgroup")
    if limit is not None and free is not None and limit < total:
        total, available = limit, min(available, free)
    return total, available, swap


def _control_group(group: Path) -> tuple[int | None, int | None]:
    """Limit of a container's memory and what is left of it; files that were read and can be dropped count as left."""
    limit, used, detail = (_read(group / f"memory.{name}") for name in ("max", "current", "stat"))
    if limit is None or used is None or not limit.strip().isdecimal():  # else "max": none
        return None, None
    dropped = 0
    for line in (detail or "").splitlines():
        if line.startswith("inactive_file "):
            dropped = int(line.split()[1])
    return int(limit), max(0, int(limit) - int(used) + dropped)


def _temperature(sys: Path, reasons: dict[str, str]) -> float | None:
    """The hottest sensor, degrees C."""
    found = []
    for zone in sys.glob("class/thermal/thermal_zone*/temp"):
        text = _read(zone)  # a zone that is off cannot be read
        degrees = None if text is None else _number(text)
        if degrees is not None and _COLDEST_C < degrees / 1000.0 < _HOTTEST_C:
            found.append(degrees / 1000.0)
    if not found:
        reasons["temperature_c"] = "no_sensor"
        return None
    return max(found)


def _throttling(sys: Path, reasons: dict[str, str]) -> tuple[bool | None, bool | None]:
    """Whether the processor is slowed down for its own good, and whether the supply gives too little voltage."""
    throttled: bool | None = None
    under_voltage: bool | None = None
    for file in sys.glob("devices/platform/soc*/*firmware*/get_throttled"):  # Raspberry Pi
        text = _read(file)
        bits = None if text is None else _number(text, 16)
        if bits is not None:
            throttled, under_voltage = bool(bits & _SLOWED), bool(bits & _UNDER_VOLTAGE)
    for monitor in sys.glob("class/hwmon/hwmon*/name"):  # the same on a kernel without that file
        if under_voltage is None and (_read(monitor) or "").strip() == "rpi_volt":
            alarm = _read(monitor.with_name("in0_lcrit_alarm"))
            under_voltage = None if alarm is None else alarm.strip() != "0"
    for kind in sys.glob("class/thermal/cooling_device*/type"):  # other boards: the kernel caps the clock itself
        state = _number(_read(kind.with_name("cur_state")) or "")
        if state is not None and "cpufreq" in (_read(kind) or ""):
            throttled = bool(throttled) or state > 0
    for name, value in (("throttled", throttled), ("under_voltage", under_voltage)):
        if value is None:
            reasons[name] = "no_sensor"
    return throttled, under_voltage


def _uptime(proc: Path, reasons: dict[str, str]) -> int | None:
    text = _read(proc / "uptime")
    if text is None:
        reasons["uptime_s"] = "no_proc"
        return None
    return int(float(text.split()[0]))


def _number(text: str, base: int = 10) -> int | None:
    """What a file of the kernel holds; None for what is none: drivers of odd boards write all sorts of things."""
    try:
        return int(text, base)
    except ValueError:
        return None


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None
