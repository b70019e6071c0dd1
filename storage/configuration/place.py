"""Where in a document something stands: a path of keys and positions, and the text that names it to a human."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""From the root inwards: keys of mappings and positions in lists, e.g. ``("miners", 0, "password")``."""


def dotted(path: KeyPath) -> str:
    """``("miners", 0, "password")`` as ``miners[0].password``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: ``where`` is a file, file and line, or a variable; ``message`` holds no secret."""

    where: str
    path: KeyPath
    message: str
    line: int = 0

    def __str__(self) -> str:
        key = dotted(self.path)
        return f"{self.where}: {key}: {self.message}" if key else f"{self.where}: {self.message}"
