"""Lodeline's own books: ticks of a collector, and which windows wait for a roll-up."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Field, Kind, Tag, Type, flag, gauge, level, state, text
from storage.declaration.measurement import Measurement

COLLECTOR_TICK = Measurement(
    "collector_tick",
    "pipeline",
    "one tick of one collector",
    (Tag("host", "host that polls"), Tag("lane", "spool lane, e.g. miners")),
    (
        level("polled", "count", "entities asked"),
        level("failed", "count", "entities that gave no reading"),
        text("failed_by_reason", "reason=count, comma-separated"),
        level("left_alone", "count", "entities not asked since their circuit breaker is open"),
        level("configurations_dropped", "count", "configurations due and not read since the host had no time for them"),
        level("payloads_dropped", "count", "polls whose answers were not kept since the host had no time for them"),
        level("points", "count", "points accepted by the spool"),
        level("backlog", "count", "points spooled and not yet stored"),
        gauge("tick_s", "s", "time from the tick's start until all was read"),
        level("missed", "count", "slots since the last tick that nobody ticked: it ran over, or nobody was on shift"),
        gauge("loop_lag_ms", "ms", "worst delay of the event loop, tells a busy host from slow miners"),
        gauge("latency_p50_ms", "ms", "time until an answer was whole, half of the answers; null: nobody answered"),
        gauge("latency_p95_ms", "ms", "the same, 95 of 100 answers"),
        gauge("latency_p99_ms", "ms", "the same, 99 of 100 answers"),
        text("batch_id", "what brought the rows of this slot: a batch of the spool"),
        level("sequence", "", "number of the spool's record that holds the batch"),
        text("run_id", "flow run that made it, or the run of a command"),
    ),
    {Tier.RAW: "mining_operational"},
)

REPLAYED_POLL = Measurement(
    "replayed_poll",
    "pipeline",
    "a poll whose rows a replay of its kept answers has corrected; the newest one counts",
    (Tag("miner_id", "miner that was polled"),),
    (
        text("batch_id", "batch of the spool that brought the corrections"),
        text("run_id", "run of the command"),
        text("version", "version of Lodeline that read the answers again"),
    ),
    {Tier.RAW: "mining_operational"},
)

# Both marks outlive every raw tier: prices are kept a year, and an hour of them may be rolled up again for as long.
WINDOW_TOUCHED = Measurement(
    "window_touched",
    "pipeline",
    "an hour of a measurement that got data; its time is the hour's start. Written after the data, before the mark",
    (Tag("host", "host that delivered"), Tag("measurement", "measurement that got data")),
    (Field("touched_ns", Type.INTEGER, Kind.GAUGE, "", "Unix time in ns of the newest delivery into the window"),),
    {Tier.RAW: "mining_operational"},
)

WINDOW_ROLLED = Measurement(
    "window_rolled",
    "pipeline",
    "an hour or day whose roll-up is written; its time is the window's start. Under worker_match: an hour of pools and "
    "miners that is worked out",
    (Tag("measurement", "measurement rolled up"), Tag("tier", "hourly or daily")),
    (
        Field(
            "covered",
            Type.INTEGER,
            Kind.GAUGE,
            "",
            "xor of the touched_ns of all hosts that the roll-up has seen; 0: to be done again",
        ),
    ),
    {Tier.RAW: "mining_operational"},
)

WINDOW_HELD = Measurement(
    "window_held",
    "pipeline",
    "an hour or day whose roll-up stays as it is whatever comes late, since rows that it was made of are gone from the "
    "store; its time is the window's start",
    (Tag("measurement", "measurement rolled up"), Tag("tier", "hourly or daily")),
    (text("path", "damaged file that was set aside; empty: it was put back, and the window is held no longer"),),
    {Tier.RAW: "mining_operational"},
)

SOURCE_FAILURES = (
    "unreachable", "timeout", "not_json", "unexpected", "rate_limited", "quota_exhausted", "refused", "server_error",
    "gone", "budget",
)  # fmt: skip
"""Why a pool or market source gave no data; tasks/sources/failure.py says when each of them holds."""

SOURCE_REQUEST = Measurement(
    "source_request",
    "pipeline",
    "one request to a pool or market source",
    (Tag("host", "host that asked"), Tag("source", "pool or provider"), Tag("request", "what was asked")),
    (
        flag("ok", "data came"),
        state("failure", SOURCE_FAILURES, "why none came"),
        gauge("latency_ms", "ms", "time until the answer was whole"),
        level("rows", "count", "rows made from it"),
        level("tries", "count", "requests sent for it, the first included"),
        gauge("credits", "count", "credits of the account that it took"),
        gauge("credits_left", "count", "credits left in the month; null where the source has no budget"),
        gauge("retry_after_s", "s", "wait that the source asked for"),
        flag("from_cache", "the answer was one kept from before"),
        gauge("age_s", "s", "age of the answer; 0 unless it was kept"),
        flag(
            "rate_shared",
            "the rate was kept together with other hosts; false: by this host at its part of it, since their limit was "
            "away; null: it asks alone",
        ),
        text("run_id", "flow run that asked"),
    ),
    {Tier.RAW: "mining_operational"},
)

SOURCE_HOUR = Measurement(
    "source_hour",
    "pipeline",
    "how a pool or market source answered in an hour; its time is the hour's start. docs/metrics.md",
    (Tag("source", "pool or provider"),),
    (
        level("asked", "count", "requests, those not sent for want of credits left out"),
        level("answered", "count", "requests that brought data"),
        gauge("success_ratio", "ratio", "answered / asked"),
        text("failed_by_reason", "reason=count, comma-separated"),
        gauge("latency_p50_ms", "ms", "time until an answer was whole, half of the answers"),
        gauge("latency_p95_ms", "ms", "the same, 95 of 100 answers"),
        gauge("latency_p99_ms", "ms", "the same, 99 of 100 answers"),
        level("rows", "count", "rows made of the answers"),
        text("reason", "why a value is null, as field:reason, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

FLEET_HEALTH = Measurement(
    "fleet_health",
    "pipeline",
    "how the business stands, once an hour; its time is the hour's start. docs/metrics.md",
    (Tag("scope", "fleet"),),
    (
        level("miners", "count", "miners of the configuration"),
        level("miners_known", "count", "those whose newest row is not stale, answered or not"),
        gauge("known_ratio", "ratio", "miners_known / miners"),
        level("miners_answering", "count", "those that answered"),
        gauge("hashrate_expected_hs", "H/s", "of the presets, mean of the last 24 hours", exact=True),
        gauge("hashrate_delivered_hs", "H/s", "expected less what was lost, mean of the last 24 hours", exact=True),
        gauge("delivered_ratio", "ratio", "delivered / expected"),
        gauge("hashing_uptime_percent", "percent", "mean over miners of the last 24 hours, of what is known of them"),
        gauge("coverage_percent", "percent", "time of the last 24 hours that is known of the miners"),
        gauge(
            "predicted_usd", "USD", "what pools should have credited for their newest day that they told", exact=True
        ),
        gauge("credited_usd", "USD", "what they did credit for it", exact=True),
        gauge("credited_ratio", "ratio", "credited / predicted"),
        gauge("profit_day_usd", "USD", "profit of the newest day that is worked out", exact=True),
        gauge("profit_mean_usd", "USD", "mean of the seven days before, of those that are known", exact=True),
        gauge("profit_change_usd", "USD", "the day less that mean", exact=True),
        gauge("price_age_s", "s", "age of the newest price, of the coin whose is oldest"),
        text("reason", "why a value is null, as field:reason, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

PIPELINE_DISK = Measurement(
    "pipeline_disk",
    "pipeline",
    "bytes of one measurement and tier, lane or bucket on disk",
    (
        Tag("host", "host that looked"),
        Tag("place", "lake, warehouse, features, spool, archive, influx, logs, or a folder of the data directory"),
        Tag("of", "measurement, lane or bucket"),
        Tag("tier", "raw, hourly or daily; empty where a place has none"),
    ),
    (
        level("size", "bytes", "bytes on disk"),
        gauge("growth", "bytes", "bytes that come each day; null until two whole days are known"),
        gauge("days_until_full", "days", "until the volume is full if nothing else grew; null where it never is"),
    ),
    {Tier.RAW: "mining_operational"},
)

PIPELINE_VOLUME = Measurement(
    "pipeline_volume",
    "pipeline",
    "a file system that holds data of the pipeline",
    (Tag("host", "host that looked"), Tag("volume", "folder of ours that lies on it")),
    (
        level("total", "bytes", "size of it"),
        level("free", "bytes", "bytes that can still be written"),
        gauge("days_until_full", "days", "until it is full, all growth together; null where it never is or unknown"),
        text("actions", "steps of the guard that are due, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

PIPELINE_HOST = Measurement(
    "pipeline_host",
    "pipeline",
    "a host that collects; its time is the end of the five minutes that it tells of. docs/metrics.md",
    (Tag("host", "host that looked at itself"),),
    (
        gauge("cpu_busy", "ratio", "part of all cores' time that was not idle"),
        level("cpus", "count", "cores"),
        gauge("load_1m", "count", "processes that ran or waited to, mean of the last minute"),
        level("memory_total", "bytes", "memory of the host, or the limit of its container"),
        level("memory_available", "bytes", "the least in these minutes that could be had without swapping"),
        level("swap_used", "bytes", "memory that was swapped out"),
        level("disk_total", "bytes", "file system of the data directory"),
        level("disk_free", "bytes", "bytes that can still be written there"),
        gauge("temperature_c", "degC", "hottest sensor of the board, the most in these minutes"),
        flag("throttled", "the processor was slowed down for heat or power"),
        flag("under_voltage", "the power supply gave too little voltage"),
        level("uptime_s", "s", "time since the host started"),
        flag("clock_synchronised", "something keeps the clock right, as the kernel knows"),
        gauge("clock_error_s", "s", "error that the clock may have, as the kernel knows"),
        gauge(
            "clock_offset_s", "s", "this clock less that of InfluxDB, which tells whole seconds; null: none is asked"
        ),
        text("reason", "why a value is null, as field:reason, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

PIPELINE_PROCESS = Measurement(
    "pipeline_process",
    "pipeline",
    "what the processes of one kind on a host take together; its time is that of pipeline_host",
    (
        Tag("host", "host that looked at itself"),
        Tag("process", "shift-<lane>, flows (short ones), worker, server, page or up"),
    ),
    (
        level("processes", "count", "processes of the kind"),
        gauge("cpu_cores", "ratio", "processor time / time, 1 is one core; null: this is the first look"),
        level("rss", "bytes", "memory, what several share counted in each"),
        level("pss", "bytes", "memory, what several share counted once"),
        level("open_files", "count", "open files and connections"),
        level("threads", "count", "threads"),
        text("reason", "why a value is null, as field:reason, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

PIPELINE_DELIVERY = Measurement(
    "pipeline_delivery",
    "pipeline",
    "what a store took of a lane in five minutes, and what waits; its time is that of pipeline_host",
    (
        Tag("host", "host that delivers"),
        Tag("lane", "spool lane, e.g. miners"),
        Tag("sink", "store that it is delivered to"),
    ),
    (
        gauge("accepted_per_s", "count/s", "points that the spool took; null: this is the first look"),
        gauge("stored_per_s", "count/s", "points that the store took; null: this is the first look"),
        level("backlog", "count", "points spooled and not yet stored"),
        level("dead_lettered", "count", "points refused for good, over the life of the lane"),
        level("shed", "count", "points dropped since the spool's limit was reached, over the life of the lane"),
        gauge("waiting_s", "s", "time since the reading of the newest point stored while others wait; 0: none waits"),
        gauge("lag_p50_s", "s", "from reading to being stored, half of the points stored in these minutes"),
        gauge("lag_p95_s", "s", "the same, 95 of 100 points"),
        gauge("lag_p99_s", "s", "the same, 99 of 100 points"),
        text("trouble", "why the store takes nothing"),
        text("reason", "why a value is null, as field:reason, comma-separated"),
    ),
    {Tier.RAW: "mining_operational"},
)

FEATURE_DRIFT = Measurement(
    "feature_drift",
    "pipeline",
    "how far a feature of a day has moved from the weeks before; its time is the day's start. docs/features.md",
    (Tag("view", "feature view and version, e.g. miner_hourly_v1"), Tag("feature", "feature of it")),
    (
        state("status", ("stable", "shifting", "drifted", "unknown"), "by psi: below 0.1, below 0.25, else drifted"),
        gauge("psi", "ratio", "population stability index, missing values counted as a bin", exact=True),
        gauge("ks", "ratio", "Kolmogorov-Smirnov distance of the values that are there", exact=True),
        gauge("ks_p", "ratio", "how likely so great a distance is by chance", exact=True),
        level("reference_rows", "count", "rows of the weeks before"),
        level("current_rows", "count", "rows of the day"),
        gauge("reference_missing", "ratio", "part of them without a value", exact=True),
        gauge("current_missing", "ratio", "part of them without a value", exact=True),
        gauge("reference_mean", "", "mean in the feature's unit", exact=True),
        gauge("current_mean", "", "mean in the feature's unit", exact=True),
        text("reason", "why psi is null"),
    ),
    {Tier.RAW: "mining_operational"},
)

MONITOR_DRIFT = Measurement(
    "monitor_drift",
    "pipeline",
    "the same as feature_drift as a monitor at Abacus.AI sees it; its time is the day's start. docs/abacus.md",
    (
        Tag("feature_group", "feature group of abacus_integration_config.yaml"),
        Tag("feature", "feature of its view"),
    ),
    (
        state("status", ("stable", "shifting", "drifted", "unknown"), "by psi: below 0.1, below 0.25, else drifted"),
        gauge("psi", "ratio", "population stability index over the service's own bins", exact=True),
        gauge("ks", "ratio", "Kolmogorov-Smirnov distance at the ends of those bins", exact=True),
        level("reference_rows", "count", "rows of the weeks before, where the service counts"),
        level("current_rows", "count", "rows of the day, where the service counts"),
        text("view", "feature view and version, e.g. miner_hourly_v1"),
        text("version", "run of the monitor that said it"),
        text("reason", "why psi or ks is null"),
    ),
    {Tier.RAW: "mining_operational"},
)

SOURCE_QUALITY = Measurement(
    "source_quality",
    "pipeline",
    "how good the data of one source was on a day of UTC; its time is the day's start. docs/source-quality.md",
    (
        Tag("source", "miner, pool, provider or explorer, as its rows are called"),
        Tag("kind", "miner, pool, price or network"),
    ),
    (
        gauge("score", "ratio", "geometric mean of the four below, of those that are known"),
        gauge("completeness", "ratio", "rows / rows_due"),
        gauge("timeliness", "ratio", "part of the day at which its newest row was at most 1.5 intervals old"),
        gauge("accuracy", "ratio", "mean quality of its rows"),
        gauge("consistency", "ratio", "1 - conflicting / compared"),
        level("rows_due", "count", "rows that its interval asks for; null where it is not configured"),
        level("rows", "count", "slots of the interval with a reading, of each coin where it is one of coins"),
        level("failed", "count", "polls or requests that brought nothing"),
        gauge("lag_median_s", "s", "median of the times from one row to the next"),
        gauge("lag_worst_s", "s", "longest of them, up to the day's end"),
        gauge("whole_ratio", "ratio", "part of its rows of which the quality is 1"),
        level("flagged", "count", "rows that have any word in quality_flags"),
        text("flags", "word=rows, comma-separated, most first; of impossible:power_w the word is impossible"),
        level("compared", "count", "hours of a worker, or rows, that another source tells of too"),
        level("conflicting", "count", "those of them that differ from it"),
        level("outliers", "count", "hours of a series far from the median of its own 7 days; null: too few hours"),
        text("reason", "why a value is null, as field:reason; gap; late_data: made again for what came afterwards"),
    ),
    {Tier.RAW: "mining_operational"},
)

EXPORT_STATE = Measurement(
    "export_state",
    "pipeline",
    "how far the export of a feature group to Abacus.AI is, at the time of the row. docs/abacus.md",
    (
        Tag("host", "host that exports"),
        Tag("feature_group", "feature group of abacus_integration_config.yaml"),
        Tag("way", "batch, or stream"),
    ),
    (
        gauge("watermark_age_s", "s", "age of what is over there: all known before is; null: nothing was exported yet"),
        level("rows_behind", "count", "rows known here and not over there; of a stream those that wait as files"),
        level("overdue_s", "s", "since a run should have gone well by the schedule; 0: none is due"),
        level("failures", "count", "runs that failed in a row; 0: the last one went well"),
        level("rows_sent", "count", "rows over there, of the table of now"),
        level("rows_rejected", "count", "rows that did not go, of the table of now"),
        level("dead_letters", "count", "those of them that are kept with the reason"),
        text("failure", "why the last run failed; empty: it went well"),
        text("reason", "why rows_behind is null"),
    ),
    {Tier.RAW: "mining_operational"},
)
