"""This machine: packages, data directory, disk, open files, port of the page."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deployments.doctor.finding import Finding, odd, skipped, well, wrong
from deployments.settings import Settings
from storage.errors import NeedsHuman
from tasks.health.host import HostState, look
from tasks.miners.open_files import allow_open_files

LEAST_FREE = 0.1
HOT_C = 80.0


def packages(settings: Settings) -> Iterator[Finding]:
    """Packages of extras that this configuration needs."""
    collection = settings.collection
    wanted = {
        "lake": (("deltalake", "duckdb", "pyarrow"), settings.host.lake.enabled or settings.host.influx is None),
        "alerts": (("apprise",), bool(collection.alerts.channels)),
        "abacus": (("abacusai",), settings.abacus is not None),
        "asic-rs": (("pyasic_rs",), any(miner.driver == "asic-rs" for miner in collection.miners)),
    }
    needed = [extra for extra, (_, is_needed) in wanted.items() if is_needed]
    missing = {
        extra: absent for extra in needed if (absent := [name for name in wanted[extra][0] if not is_installed(name)])
    }
    for extra, names in missing.items():
        yield wrong("packages", f"{', '.join(names)} not installed", f"Install lodeline[{extra}]")
    if not missing:
        yield well("packages", f"what the configuration needs is there ({', '.join(needed) or 'the core'})")


def is_installed(package: str) -> bool:
    """Whether ``package`` could be imported."""
    return importlib.util.find_spec(package) is not None


def data_directory(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written, and what is free there."""
    folder = settings.host.data_directory
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-") as file:
            file.write(b"well")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield wrong(
            "data directory",
            f"{there} cannot be written: {error.strerror}",
            "Give it to the user that runs the flows, or set LODELINE_DATA_DIRECTORY",
        )
        return
    state = str(folder) if there == folder else f"{folder} is not there yet and can be made"
    yield well("data directory", state)
    usage = shutil.disk_usage(there)
    yield disk(usage.total, usage.free)


def disk(total: int, free: int) -> Finding:
    """Whether enough of ``total`` bytes is free."""
    told = f"{free / total:.0%} of {total / 1e9:,.0f} GB free"
    if free < LEAST_FREE * total:
        return wrong("disk", told, "lodeline disk shows what takes it; shorten retention, or archive to another volume")
    return well("disk", told)


def machine(settings: Settings) -> Iterator[Finding]:
    """Memory, heat, power supply and clock, as far as this machine tells them."""
    yield from _machine(look(settings.host.data_directory))


def _machine(state: HostState) -> Iterator[Finding]:
    if state.memory_available is not None and state.memory_total is not None:
        told = f"{state.memory_available / 2**20:,.0f} of {state.memory_total / 2**20:,.0f} MiB can be had"
        if state.memory_available < LEAST_FREE * state.memory_total:
            yield wrong("memory", told, "See what takes it (ps); give it more, or move work elsewhere")
        else:
            yield well("memory", told)
    if state.temperature_c is not None or state.throttled is not None:
        degrees = "" if state.temperature_c is None else f"{state.temperature_c:.0f} °C"
        if state.throttled or (state.temperature_c or 0.0) >= HOT_C:
            slowed = ", the processor is slowed down" if state.throttled else ""
            yield wrong("heat", f"{degrees or 'no sensor'}{slowed}", "Give it air, a heat sink or a fan")
        else:
            yield well("heat", degrees or "not slowed down")
    if state.under_voltage is not None:
        if state.under_voltage:
            yield wrong("power supply", "gives too little voltage", "Change the supply or the cable")
        else:
            yield well("power supply", "gives enough voltage")
    if state.clock is not None and not state.clock.synchronised:
        yield odd(
            "NTP", "the kernel knows of nothing that keeps the clock right", "Run NTP (chrony, systemd-timesyncd)"
        )
    elif state.clock is not None:
        yield well("NTP", f"the clock is kept right, to {state.clock.error_s:.2f} s")


def open_files(settings: Settings) -> Iterator[Finding]:
    """Whether a connection per miner can be kept."""
    miners = len(settings.collection.miners)
    try:
        limit = allow_open_files(miners)
    except NeedsHuman as error:
        yield wrong("open files", str(error).removesuffix(f". {error.remedy}"), error.remedy)
    else:
        yield well("open files", f"{limit} allowed, enough for {miners} miners")


def archive(settings: Settings) -> Iterator[Finding]:
    """Whether the archive can be written, and lies elsewhere than the data."""
    root = settings.retention.general.archive_base_path
    if root is None:
        yield skipped("archive", "general.archive_base_path is not set")
        return
    there = next(each for each in (Path(root), *Path(root).parents) if each.exists())
    if not os.access(there, os.W_OK):
        yield wrong("archive", f"{there} cannot be written", "Give it to the user that runs flow archive")
        return
    data = next(e for e in (settings.host.data_directory, *settings.host.data_directory.parents) if e.exists())
    if there.stat().st_dev == data.stat().st_dev:
        yield odd(
            "archive", f"{root} lies on the volume of the data", "Another volume frees space, and survives this disk"
        )
    else:
        yield well("archive", f"{root}, on a volume of its own")


def page_port(settings: Settings) -> Iterator[Finding]:
    """Whether the page listens, or could."""
    host, port = settings.host.page.host, settings.host.page.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.settimeout(2)
        reached = trial.connect_ex(("::1" if host == "::" else "127.0.0.1" if host == "0.0.0.0" else host, port)) == 0
    if reached:
        yield well("page", f"something listens on port {port}")
        return
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        yield wrong("page", f"{host} port {port}: {error.strerror}", "Set LODELINE_PAGE__HOST or LODELINE_PAGE__PORT")
    else:
        yield skipped("page", f"does not run; {host} port {port} is free for lodeline page")
