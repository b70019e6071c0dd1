"""The processes of Lodeline and its Prefect on this host: what each kind takes of processor, memory and files.

Kinds: a shift by its lane (``shift-miners``), ``flows`` (short ones, all together), ``worker``, ``server``, ``page``,
``up``. They are found among the processes of this user by how they were started, shifts by who holds their lock. A
process that began and ended between two looks is not seen, one that ended loses what it took since the look before.
Linux only: elsewhere none is found.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tasks.health.host import TICK_S
from tasks.shift.baton import Baton

PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
FLOWS = "flows"


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process. ``began`` tells it from a later one of the same number; ``cpu_s``: processor time so far, seconds.

    Sizes are bytes. ``pss`` shares what several processes have in common among them; ``rss`` counts it in each. None:
    not to be read.
    """

    pid: int
    began: int
    kind: str
    cpu_s: float
    rss: int
    pss: int | None
    open_files: int | None
    threads: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one kind take together. ``cpu_cores``: 1.0 is one core, since the look before."""

    kind: str
    processes: int
    cpu_cores: float | None
    rss: int
    pss: int | None
    open_files: int | None
    threads: int


def processes(lock_directory: Path, *, proc: Path = PROC, pss: bool = True) -> list[ProcessState]:
    """All that run now. ``pss`` costs a walk over the memory of each, so it may be left out."""
    shifts = _shifts(lock_directory)
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            kind = kind_of((folder / "cmdline").read_text(errors="replace").split("\0"))
            if kind is not None:
                found.append(_state(folder, shifts.get(int(folder.name), kind), pss=pss))
        except (OSError, ValueError):
            continue  # it has ended meanwhile
    return found


def usage(now: list[ProcessState], before: list[ProcessState] | None, seconds: float) -> list[Usage]:
    """By kind, in order of its name. ``before``: what was there ``seconds`` ago; None: not known."""
    spent = {(one.pid, one.began): one.cpu_s for one in before or ()}
    by_kind: dict[str, list[ProcessState]] = defaultdict(list)
    for one in now:
        by_kind[one.kind].append(one)
    return [
        Usage(
            kind=kind,
            processes=len(group),
            cpu_cores=(
                None
                if before is None or seconds <= 0
                else sum(max(0.0, one.cpu_s - spent.get((one.pid, one.began), 0.0)) for one in group) / seconds
            ),
            rss=sum(one.rss for one in group),
            pss=_sum([one.pss for one in group]),
            open_files=_sum([one.open_files for one in group]),
            threads=sum(one.threads for one in group),
        )
        for kind, group in sorted(by_kind.items())
    ]


def kind_of(command: list[str]) -> str | None:
    """The kind of a process by its command line; None: it is none of ours. A shift is a flow here."""
    words = [word for word in command if word]
    if not words or not os.path.basename(words[0]).startswith(("python", "prefect", "lodeline")):
        return None
    names = {os.path.basename(words[0]), *(os.path.basename(word) for word in words[1:2])}
    module = next((after for flag, after in pairwise(words) if flag == "-m"), "")
    if module in ("prefect.engine", "prefect.flow_engine"):
        return FLOWS
    if module == "deployments.page" or ("lodeline" in names and "page" in words[1:3]):
        return "page"
    if "lodeline" in names and "up" in words[1:3]:
        return "up"
    if any(word.startswith("prefect.server.api.server") for word in words):
        return "server"
    if module == "prefect" or "prefect" in names:
        if "worker" in words:
            return "worker"
        if "server" in words:
            return "server"
    return None


def _shifts(lock_directory: Path) -> Mapping[int, str]:
    """Kinds by process of the shifts that are on now."""
    held: dict[int, str] = {}
    for file in lock_directory.glob("*.now"):
        holder = Baton(lock_directory, file.stem).holder
        if holder is not None:
            held[holder] = f"shift-{file.stem}"
    return held


def _state(folder: Path, kind: str, *, pss: bool) -> ProcessState:
    # Behind the name, which may hold blanks and brackets: state is field 3 of proc(5), so index 0 here.
    fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return ProcessState(
        pid=int(folder.name),
        began=int(fields[19]),
        kind=kind,
        cpu_s=(int(fields[11]) + int(fields[12])) * TICK_S,
        rss=int(fields[21]) * _PAGE,
        pss=_pss(folder) if pss else None,
        open_files=_open_files(folder),
        threads=int(fields[17]),
    )


def _pss(folder: Path) -> int | None:
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass  # the kernel is older than 4.14, or does not let us
    return None


def _open_files(folder: Path) -> int | None:
    try:
        return len(os.listdir(folder / "fd"))
    except OSError:
        return None


def _sum(values: list[int | None]) -> int | None:
    """The sum; None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
