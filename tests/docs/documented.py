"""Every command line that README.md and docs/*.md show: what stands in a block of code, indented, or in backticks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

PROGRAMS = (
    "lodeline", "make", "curl", "prefect", "influx", "influxd", "python", "pip", "git", "sudo",
    "systemctl", "systemd-analyze", "systemd-creds", "systemd-sysusers",
    "journalctl", "docker", "podman", "cd", "cp", "install", "useradd", "pytest",
)  # fmt: skip
"""What a line of a block begins with, after variables, if it is a command and no output."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*=\S*\s+")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}.*\S.*\n?)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_CHOICE = re.compile(r"\[?((?<!-)\b\w+(?:\|\w+)+)(?: \.\.\.)?\]?")


@dataclass(frozen=True, order=True)
class Documented:
    """A command line as it is to be run, and where it stands."""

    line: str
    page: str


def documented() -> list[Documented]:
    """All of them, each line once, by page."""
    found: dict[str, Documented] = {}
    for page in PAGES:
        for line in commands_of(page.read_text()):
            found.setdefault(line, Documented(line, page.relative_to(ROOT).as_posix()))
    return list(found.values())


def commands_of(text: str) -> list[str]:
    """Command lines of a page, in order; one that shows a choice stands for each of its ways."""
    lines: list[str] = []
    for language, block in _FENCE.findall(text):
        if language in ("", "sh"):
            lines += _block(block)
    text = _FENCE.sub("", text)
    for block in _INDENTED.findall(text):
        lines += _block("\n".join(line[4:] for line in block.splitlines()))
    inline = (re.sub(r"\s+", " ", found).replace("\\|", "|") for found in _INLINE.findall(_INDENTED.sub("", text)))
    lines += [line for line in inline if _is_command(line)]
    return list(itertools.chain.from_iterable(map(_ways, lines)))


def _block(block: str) -> Iterator[str]:
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        said = re.sub(r"\s+#\s.*$", "", line).strip()
        if _is_command(said):
            yield said


def _is_command(line: str) -> bool:
    bare = line
    while match := _VARIABLE.match(bare):
        bare = bare[match.end() :]
    program, _, rest = bare.partition(" ")
    return Path(program).name in PROGRAMS and bool(rest)


def _ways(line: str) -> list[str]:
    """``x [a|b ...]`` is ``x``, ``x a`` and ``x b``; ``x a|b`` is two; ``x [--y]`` is ``x`` and ``x --y``."""
    if "'" in line or '"' in line:
        return [line]
    if match := _CHOICE.search(line):
        choices = [line[: match.start()] + choice + line[match.end() :] for choice in match[1].split("|")]
        bare = [line[: match.start()].strip() + line[match.end() :]] if match[0].startswith("[") else []
        return [way.strip() for choice in [*bare, *choices] for way in _ways(choice)]
    if match := re.search(r" \[([^\]]+)\]", line):
        without = line[: match.start()] + line[match.end() :]
        return [*_ways(without), *_ways(f"{line[: match.start()]} {match[1]}{line[match.end() :]}")]
    return [line]
