"""What miners answered, word for word but for secrets: what a reading can be traced to and made from anew."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Field, Kind, Tag, Type, level, long_text, state, text
from storage.declaration.measurement import Measurement
from storage.declaration.miner import FAILURE_KINDS, MINER_TAGS
from storage.declaration.pipeline import SOURCE_FAILURES

RAW_PAYLOAD = Measurement(
    "raw_payload",
    "R1",
    "one answer of a miner at one poll, or why none came; its time is the slot of the rows made from it",
    (*MINER_TAGS, Tag("path", "what was asked, without secrets")),
    (
        level("status", "", "HTTP status; null when no whole answer came"),
        state("failure", FAILURE_KINDS, "why no whole answer came; null when one did"),
        long_text("body", "the answer with its secrets masked; a byte that is no UTF-8 as U+F700 plus its value"),
        text("sha256", "of body, tells equal answers"),
        level("size", "bytes", "size of the answer as it came"),
        text("address", "address asked"),
        text("driver", "driver that asked, with its dialect"),
        text("version", "version of Lodeline that asked"),
        Field("received_ms", Type.INTEGER, Kind.GAUGE, "ms", "Unix time when the answer was whole, or given up"),
    ),
    {Tier.RAW: "mining_payload"},
)

SOURCE_PAYLOAD = Measurement(
    "source_payload",
    "pipeline",
    "one answer of a pool or market source, or why none came; its time is the slot of the rows made from it",
    (
        Tag("source", "pool or provider"),
        Tag("request", "what was asked, e.g. workers"),
        Tag("page", "of several, from 1"),
    ),
    (
        level("status", "", "HTTP status; null when no whole answer came"),
        state("failure", SOURCE_FAILURES, "why it is no data; null when it is"),
        long_text("body", "the answer with its secrets masked"),
        text("sha256", "of body, tells equal answers"),
        level("size", "bytes", "size of the answer as it came"),
        text("address", "address asked, without secrets"),
        text("version", "version of Lodeline that asked"),
        Field("received_ms", Type.INTEGER, Kind.GAUGE, "ms", "Unix time when the answer was whole, or given up"),
    ),
    {Tier.RAW: "mining_payload"},
)
