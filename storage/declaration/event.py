"""What happens to a miner, told once, when it happens."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, state, text
from storage.declaration.measurement import Measurement
from storage.declaration.miner import MINER_TAGS

EVENT_KINDS = (
    "started", "unreachable", "reachable", "state_changed", "firmware_changed", "configuration_changed",
    "identity_changed", "board_lost", "board_back", "fan_lost", "fan_back", "pool_switched", "counters_reset",
)  # fmt: skip
"""Kinds of event; tasks/miners/events.py says when each of them is told."""

EVENT_SEVERITIES = ("info", "warning", "critical")

MINER_EVENT = Measurement(
    "miner_event",
    "R1",
    "something that happened to a miner, at the poll that showed it. "
    f"Kinds: {', '.join(f'`{kind}`' for kind in EVENT_KINDS)}",
    (
        *MINER_TAGS,
        Tag("kind", "what happened"),
        # Without it, the second board that is lost in one slot would replace the first.
        Tag("subject", "what it happened to: the miner, a setting, or a part with its number, e.g. `board 2`"),
    ),
    (
        state("severity", EVENT_SEVERITIES, "how bad"),
        text("message", "the event in words"),
        text("old", "what was before; null where there is nothing to name"),
        text("new", "what is since; null where there is nothing to name"),
    ),
    {Tier.RAW: "mining_audit"},
)
