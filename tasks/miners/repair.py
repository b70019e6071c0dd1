"""JSON that firmwares break, mended without inventing anything.

Each repair has a public bug report behind it: a comma missing between two objects, a comma too many, raw line ends in
a string, ``nan`` for a number, a trailing NUL, a byte order mark, bytes that are not UTF-8. What is not done, on
purpose: closing what was cut off, which invents completeness, and reading ``nan`` as 0, which invents a measurement.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LONGEST = 64 * 1024
"""Mending takes about a microsecond a byte of event loop; an answer of a miner has a few kB."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z)|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NO_NUMBER = frozenset({"nan", "inf", "infinity"})


class Unmendable(ValueError):
    """The text is not JSON and cannot be made so. ``truncated`` says that it is the beginning of some."""

    def __init__(self, reason: str, *, truncated: bool) -> None:
        super().__init__(reason)
        self.truncated = truncated


def mend(body: bytes) -> Any:
    """Parse ``body`` after mending it.

    Raises:
        Unmendable: nothing helps; the message says where it breaks.
    """
    text = body.decode("utf-8-sig", "replace").strip("\x00 \t\r\n")
    if not text.startswith(("{", "[")):
        raise Unmendable(_looks_like(text), truncated=False)
    if len(body) > _LONGEST:
        raise Unmendable(f"broken JSON of {len(body)} bytes, more than the {_LONGEST} that are mended", truncated=False)
    tokens = _TOKEN.findall(text)
    opened = sum(token in ("{", "[") for token in tokens) - sum(token in ("}", "]") for token in tokens)
    last = tokens[-1]
    if opened > 0 or (last.startswith('"') and (len(last) < 2 or not last.endswith('"'))):
        raise Unmendable(f"the JSON ends after {len(text)} characters with {max(opened, 1)} open", truncated=True)
    try:
        return json.loads("".join(_mended(tokens)), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise Unmendable(f"broken JSON: {error}", truncated=False) from error


def _mended(tokens: list[str]) -> list[str]:
    out: list[str] = [""]
    for token in tokens:
        before = out[-1]
        if (token in ("{", "[") or token.startswith('"')) and before in ("}", "]"):
            out.append(",")
        elif token in ("}", "]") and before == ",":
            out.pop()
        elif token == "," and before in ("", "[", "{", ","):  # noqa: S105
            continue
        if token.startswith('"'):
            token = _ESCAPE.sub(lambda found: "'" if found[1] == "'" else found[0], token)  # noqa: PLW2901
            token = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", token)  # noqa: PLW2901
        elif token.lower().lstrip("+-") in _NO_NUMBER:
            token = "null"  # noqa: PLW2901, S105
        out.append(token)
    return out


def _looks_like(text: str) -> str:
    if not text:
        return "the answer is empty"
    return "the answer is HTML, not JSON" if text.startswith("<") else "the answer is not JSON"
