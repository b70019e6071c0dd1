"""The audit trail as rows: what was done to stored data and to the configuration."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, level, text
from storage.declaration.measurement import Measurement

AUDIT_EVENT = Measurement(
    "audit_event",
    "pipeline",
    "an entry of a host's audit trail; the file `audit/<host>.jsonl` is the truth, this is its copy and its anchor",
    (
        Tag("host", "host whose trail it is"),
        Tag("kind", "what happened, e.g. configuration_changed"),
        # Else a second entry of one kind and second would replace the first.
        Tag("place", "sequence modulo 1000"),
    ),
    (
        level("sequence", "", "number in the trail, from 1"),
        text("actor", "who did it: a command or flow"),
        text("subject", "what it happened to; `erased` where a secure deletion took it out"),
        text("detail", "more of it as JSON; `erased` where a secure deletion took it out"),
        text("hash", "SHA-256 of the entry, chained to the one before"),
    ),
    {Tier.RAW: "mining_audit"},
)
