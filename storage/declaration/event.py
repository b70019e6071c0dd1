"""What happens to a miner, told once, when it happens."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, gauge, state, text
from storage.declaration.measurement import Measurement
from storage.declaration.miner import MINER_TAGS

EVENT_KINDS = (
    "started", "unreachable", "reachable", "state_changed", "firmware_changed", "configuration_changed",
    "identity_changed", "board_lost", "board_back", "fan_lost", "fan_back", "pool_switched", "counters_reset",
    "anomaly_began", "anomaly_ended", "override_began", "override_ended",
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

SOURCE_EVENT = Measurement(
    "source_event",
    "pipeline",
    "something that happened to a pool or market source on a host. Kinds: `override_began`, `override_ended`: "
    "somebody, or a response, paused it, or no more",
    (
        Tag("host", "host that asks it"),
        Tag("source", "pool or provider"),
        Tag("kind", "what happened"),
    ),
    (
        state("severity", EVENT_SEVERITIES, "how bad"),
        text("message", "the event in words"),
        text("old", "the pause of before; null where there was none"),
        text("new", "the pause since then; null where there is none"),
    ),
    {Tier.RAW: "mining_audit"},
)

ALERT_EVENTS = (
    "fired", "raised", "resolved", "acknowledged", "acknowledgement_expired", "flapping", "steady",
)  # fmt: skip
"""What can happen to an alert; tasks/alerts/life_cycle.py says when each of them does."""

ALERT_EVENT = Measurement(
    "alert_event",
    "pipeline",
    "something that happened to an alert. Events: " + ", ".join(f"`{event}`" for event in ALERT_EVENTS),
    (
        Tag("rule", "rule that found it; docs/alerts.md"),
        Tag("subject", "what is wrong, within the rule"),
        Tag("event", "what happened"),
    ),
    (
        text("alert_id", "identity of the alert: the same for the same rule and subject"),
        state("level", EVENT_SEVERITIES, "how bad"),
        text("entity", "miner, pool, coin or lane that it belongs to"),
        text("site", "site of it; null where it stands nowhere"),
        text("message", "the finding in words"),
        gauge("value", "", "what was measured, in the rule's unit", exact=True),
        text("person", "who acknowledged it"),
    ),
    {Tier.RAW: "mining_audit"},
)

RESPONSE_EVENTS = (
    "dry_run", "planned", "done", "failed", "helped", "no_help", "not_known", "unclear", "settled",
)  # fmt: skip
"""What can happen to a response; tasks/responses/response.py says what each of them means."""

RESPONSE_EVENT = Measurement(
    "response_event",
    "pipeline",
    "something that happened to an automated response. Events: " + ", ".join(f"`{event}`" for event in RESPONSE_EVENTS),
    (
        Tag("response", "name of the response in the configuration; docs/responses.md"),
        Tag("subject", "miner, source or host that it is done to"),
        Tag("event", "what happened"),
    ),
    (
        text("response_id", "identity of this one response; `lodeline responses show` tells its evidence"),
        text("act", "what is done, e.g. `change_preset`"),
        text("rule", "rule of the alert that it answers"),
        text("alert_id", "identity of that alert"),
        text("site", "site of the subject; null where it stands nowhere"),
        text("plan", "what was to be done, in words"),
        text("message", "what came of it, in words"),
        text("person", "who settled it"),
    ),
    {Tier.RAW: "mining_audit"},
)
