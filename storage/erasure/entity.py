"""Who is to be erased, from when to when, and how its name is found in text.

An entity is one or more tags that must all fit. Where it is a single identity (``miner_id``, ``worker_id`` and the
like) its name is also looked for in every text: rows that carry it in a tag go, texts that mention it lose the name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from storage.declaration import Measurement, Tier
from storage.errors import NeedsHuman

ERASED = "erased"
"""Stands in texts where a name was."""

END_OF_TIME_S = 253_402_300_800  # year 10000, as in storage.arrow_schema, which needs the extra [lake]

WINDOW_S = {Tier.RAW: 1, Tier.HOURLY: 3600, Tier.DAILY: 86_400}

# A name ends where no letter, digit, "_" or "-" follows, nor a "." that goes on: rig1 is not in rig1.a, rig10, rig1-b.
_BEFORE, _AFTER = r"(?<![A-Za-z0-9_\-])(?<![A-Za-z0-9_\-]\.)", r"(?![A-Za-z0-9_\-]|\.[A-Za-z0-9_\-])"


@dataclass(frozen=True)
class Entity:
    """``tags`` name it; ``[start, stop)`` in Unix seconds; ``measurements`` restricts it, None: all."""

    tags: Mapping[str, str]
    start: int = 0
    stop: int = END_OF_TIME_S
    measurements: frozenset[str] | None = None

    def __post_init__(self) -> None:
        short = [name for name, value in self.tags.items() if not value.strip()]
        if not self.tags or short:
            raise NeedsHuman(f"an empty {', '.join(short) or 'condition'} would erase everything", remedy="Name it")
        if self.start >= self.stop:
            raise NeedsHuman("the range is empty", remedy="Give a --from before --to")

    @cached_property
    def word(self) -> str | None:
        """The name that texts are searched for; None where the entity is no single identity."""
        (first, value), *more = self.tags.items()
        return value if not more and first.endswith("_id") else None

    @cached_property
    def in_text(self) -> re.Pattern[str] | None:
        """Matches the name in a text."""
        return re.compile(_BEFORE + re.escape(self.word) + _AFTER) if self.word else None

    @cached_property
    def in_bytes(self) -> re.Pattern[bytes] | None:
        """Matches the name in UTF-8 and as JSON writes it."""
        if self.word is None:
            return None
        spellings = {self.word, json.dumps(self.word)[1:-1], json.dumps(self.word, ensure_ascii=False)[1:-1]}
        words = b"|".join(re.escape(spelling.encode()) for spelling in sorted(spellings))
        return re.compile(_BEFORE.encode() + b"(?:" + words + b")" + _AFTER.encode())

    def mentions(self, text: str) -> bool:
        """Whether ``text`` holds the name."""
        return self.in_text is not None and self.in_text.search(text) is not None

    def without_name(self, text: str) -> str:
        """``text`` with the name replaced."""
        return text if self.in_text is None else self.in_text.sub(ERASED, text)

    def wants(self, measurement: Measurement) -> bool:
        """Whether rows of ``measurement`` may be concerned, by tag or by text."""
        if self.measurements is not None and measurement.name not in self.measurements:
            return False
        return self.word is not None or self.has_tags(measurement)

    def has_tags(self, measurement: Measurement) -> bool:
        """Whether rows of ``measurement`` can be told to be of the entity by their tags."""
        return set(self.tags) <= set(measurement.tag_names)

    def span(self, tier: Tier) -> tuple[int, int]:
        """The range in ``tier``: windows that overlap it count whole, for their sums hold what is erased."""
        every = WINDOW_S[tier]
        return self.start // every * every, -(-self.stop // every) * every

    def is_whole(self, now: int) -> bool:
        """Whether nothing of the entity shall be left as of ``now``."""
        return self.start <= 0 and self.stop >= now and self.measurements is None
