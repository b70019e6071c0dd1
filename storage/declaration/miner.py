"""R1 miner_telemetry: a miner, its boards, fans, pools, errors, and its configuration."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, counter, flag, gauge, level, state, text, work
from storage.declaration.measurement import Measurement

MINER_STATES = ("mining", "degraded", "starting", "tuning", "paused", "stopped", "failed", "unreachable")
"""States of a miner. ``stale`` is not stored: it is what a reader says of a row that is too old."""

FAILURE_KINDS = (
    "refused", "unreachable", "connect_timeout", "deadline", "http_status", "not_json", "truncated", "too_large",
    "auth", "schema", "driver_silent", "skipped",
)  # fmt: skip
"""Why a poll gave no reading (reference/polling.md 5)."""

MINER_TAGS = (
    Tag("miner_id", "identity from the configuration"),
    Tag("model", "model from the configuration, never from the poll"),
    Tag("site", "site from the configuration"),
)

_STANDS_S = 1_200
"""The longest wait of an open breaker, 900 s, up to the next slot of a miner that is polled every 300 s."""

_TELEMETRY = {Tier.RAW: "mining_raw", Tier.HOURLY: "mining_hourly", Tier.DAILY: "mining_daily"}
_ON_CHANGE = {Tier.RAW: "mining_hourly"}

MINER_TELEMETRY = Measurement(
    "miner_telemetry",
    "R1",
    "one miner at one poll; unreachable miners have a row too, with nulls and the failure",
    MINER_TAGS,
    (
        flag("reachable", "the miner answered this poll"),
        state("state", MINER_STATES, "what the miner is doing, or unreachable"),
        state("failure", FAILURE_KINDS, "why the poll failed; null when it did not"),
        gauge("hashrate_hs", "H/s", "total hashrate now", integrated=True),
        gauge("hashrate_average_hs", "H/s", "hashrate averaged by the miner since its start"),
        gauge("hashrate_nominal_hs", "H/s", "hashrate expected of the present preset"),
        level("power_w", "W", "power drawn, as the miner reports it", integrated=True),
        gauge("efficiency_j_th", "J/TH", "power / hashrate; J/MH is this number / 1e6"),
        gauge("voltage_v", "V", "mean of the boards' voltage"),
        gauge("ambient_temp_c", "degC", "air at the intake"),
        gauge("chip_temp_avg_c", "degC", "mean of the boards' hottest chips"),
        gauge("chip_temp_max_c", "degC", "hottest chip"),
        gauge("pcb_temp_max_c", "degC", "hottest board sensor"),
        gauge("fan_duty_percent", "percent", "fan drive"),
        gauge("frequency_mhz", "MHz", "mean chip clock of the boards that mine"),
        level("power_limit_w", "W", "power target of the preset"),
        counter("shares_accepted", "shares", "shares the user's pools accepted"),
        counter("shares_rejected", "shares", "shares the user's pools rejected"),
        counter("shares_stale", "shares", "shares that came too late"),
        work("work_accepted_d1", "accepted work of the user's pools"),
        gauge("last_share_age_s", "s", "time since the last share"),
        counter("hardware_errors", "count", "wrong nonces found by the miner itself"),
        counter("uptime_s", "s", "time since the miner's system started"),
        gauge("devfee_percent", "percent", "hash power that mines for the firmware's maker"),
        level("boards_mining", "count", "boards that mine"),
        level("boards_expected", "count", "boards that the miner has"),
        level("fans_running", "count", "fans that turn"),
        level("error_count", "count", "errors reported at this poll"),
        gauge("poll_ms", "ms", "time the poll took"),
        gauge("quality", "ratio", "quality score, 1 is best"),
        text("quality_flags", "reasons that lowered the score, comma-separated"),
    ),
    _TELEMETRY,
    stands_s=_STANDS_S,
    uptime="uptime_s",
)

MINER_BOARD = Measurement(
    "miner_board",
    "R1",
    "one hashboard at one poll",
    (*MINER_TAGS, Tag("board", "number of the board as the miner counts")),
    (
        state(
            "status",
            ("mining", "initializing", "stopped", "failure", "disconnected", "disabled", "unknown"),
            "what the board is doing",
        ),
        gauge("hashrate_hs", "H/s", "hashrate now"),
        gauge("hashrate_nominal_hs", "H/s", "hashrate expected"),
        gauge("pcb_temp_c", "degC", "hottest board sensor"),
        gauge("chip_temp_c", "degC", "hottest chip"),
        gauge("inlet_temp_c", "degC", "coolant or air at the inlet"),
        gauge("outlet_temp_c", "degC", "coolant or air at the outlet"),
        gauge("frequency_mhz", "MHz", "chip clock"),
        gauge("voltage_v", "V", "board voltage"),
        level("power_w", "W", "power drawn"),
        counter("hardware_errors", "count", "wrong nonces"),
        level("chips_bad", "count", "chips that the firmware marks red"),
    ),
    _TELEMETRY,
    stands_s=_STANDS_S,
)

MINER_FAN = Measurement(
    "miner_fan",
    "R1",
    "one fan at one poll",
    (*MINER_TAGS, Tag("fan", "number of the fan as the miner counts")),
    (
        state("status", ("ok", "lost", "unknown"), "whether the fan turns"),
        level("speed_rpm", "rpm", "speed"),
        gauge("speed_percent", "percent", "speed / highest speed"),
    ),
    _TELEMETRY,
    stands_s=_STANDS_S,
)

MINER_POOL = Measurement(
    "miner_pool",
    "R1",
    "one pool slot of a miner at one poll; the maker's fee pool is a row of its own",
    (*MINER_TAGS, Tag("slot", "position in the miner's list")),
    (
        state("status", ("active", "working", "offline", "disabled", "rejecting", "unknown"), "what the slot does"),
        flag("is_fee", "the firmware maker's pool, not the user's"),
        text("url", "address of the pool, without credentials"),
        text("user", "account and worker at the pool"),
        counter("shares_accepted", "shares", "accepted"),
        counter("shares_rejected", "shares", "rejected"),
        counter("shares_stale", "shares", "came too late"),
        work("work_accepted_d1", "accepted work"),
        gauge("difficulty", "d1_shares", "share difficulty asked by the pool", exact=True),
        gauge("last_share_age_s", "s", "time since the last share"),
        gauge("ping_ms", "ms", "round trip to the pool"),
    ),
    _TELEMETRY,
    stands_s=_STANDS_S,
)

MINER_ERROR = Measurement(
    "miner_error",
    "R1",
    "one error that a miner reports at one poll",
    (*MINER_TAGS, Tag("code", "the maker's code")),
    (
        state("severity", ("info", "warning", "critical"), "how bad"),
        text("message", "the maker's words"),
    ),
    {Tier.RAW: "mining_raw"},
)

MINER_CONFIGURATION = Measurement(
    "miner_configuration",
    "R1",
    "what a miner is set to, every 15 to 30 minutes",
    MINER_TAGS,
    (
        text("ip_address", "address polled"),
        text("driver", "driver that read it, with its dialect"),
        text("model_reported", "model as the miner names it"),
        text("firmware_version", "firmware and version"),
        state("algorithm", ("sha256d", "scrypt", "unknown"), "what it hashes"),
        text("mac", "hardware address, lower case without colons"),
        text("serial", "serial number"),
        text("overclock_profile", "preset in use"),
        gauge("frequency_mhz", "MHz", "clock that is set"),
        gauge("voltage_v", "V", "voltage that is set"),
        level("power_limit_w", "W", "power target"),
        text("pool_url", "first pool of the user"),
        text("pool_user", "its account and worker"),
        state("pool_status", ("active", "working", "offline", "disabled", "rejecting", "unknown"), "its state"),
    ),
    _ON_CHANGE,
)
