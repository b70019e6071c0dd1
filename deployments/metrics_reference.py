"""docs/metrics.md, made from what is declared: ``python -m deployments.metrics_reference``."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from deployments.markdown import markdown_table
from deployments.settings import PageSettings
from storage.declaration import BUCKETS, Measurement, Tier
from storage.declaration.pipeline import (
    COLLECTOR_TICK,
    EXPORT_STATE,
    FLEET_HEALTH,
    PIPELINE_DELIVERY,
    PIPELINE_DISK,
    PIPELINE_HOST,
    PIPELINE_PROCESS,
    PIPELINE_VOLUME,
    SOURCE_HOUR,
    SOURCE_QUALITY,
    SOURCE_REQUEST,
)
from storage.histogram import DELAYS, SECONDS
from storage.retention_settings import BUCKET_KEYS
from tasks.derive.source_hours import LATE_S
from tasks.health.metrics import METRICS, Kind
from tasks.health.sampling import LOOK_S, ROW_S

DOCUMENT = Path(__file__).parent.parent / "docs" / "metrics.md"

_WRITTEN: tuple[tuple[Measurement, str, str], ...] = (
    (COLLECTOR_TICK, "every tick of a shift", "asked, failed and why, latency, points, backlog, tick time, loop lag"),
    (SOURCE_REQUEST, "every request to a pool or market", "outcome, latency, credits"),
    (SOURCE_HOUR, "every hour, by flow `derive-quality`", "success rate, errors by reason, latency of each source"),
    (SOURCE_QUALITY, "every day, by flow `derive-quality`", "completeness, timeliness, accuracy, consistency"),
    (PIPELINE_DELIVERY, f"every {ROW_S // 60} min, beside a shift", "throughput, backlog and lag by lane and store"),
    (PIPELINE_HOST, f"every {ROW_S // 60} min, beside a shift", "processors, memory, disk, heat, clock"),
    (PIPELINE_PROCESS, f"every {ROW_S // 60} min, beside a shift", "processor, memory and files by kind of process"),
    (PIPELINE_DISK, "every hour, by flow `guard-disk`", "bytes by place and measurement, growth"),
    (PIPELINE_VOLUME, "every hour, by flow `guard-disk`", "free space, days until full"),
    (EXPORT_STATE, "by flow `measure-export`", "how far exports to Abacus.AI are"),
    (FLEET_HEALTH, "every hour, by flow `derive-quality`", "the business: hashrate, credits, profit, age of prices"),
)


def metrics_reference() -> str:
    """The whole document."""
    return "\n".join([_introduction(), _measurements(), _sampling(), _formulas(), _scraping(), _metrics()])


def _introduction() -> str:
    return """# Metrics of the pipeline

Made from `tasks/health` and the declaration by `python -m deployments.metrics_reference`; a test fails when it is
stale.

Lodeline tells of itself in two ways: as measurements in the store, with history, for Grafana and for rules; and at
`/metrics` of the page, as it is now, for Prometheus. The second needs no store. What is not known is null with its
`reason`, or has no sample at `/metrics`; it is never 0.
"""


def _measurements() -> str:
    rows = [
        (f"`{one.name}`", when, what, f"`{BUCKET_KEYS[one.buckets[Tier.RAW]]}`, {_days(one)} d")
        for one, when, what in _WRITTEN
    ]
    return f"""## As measurements

Fields are in docs/data-dictionary.md. How long they are kept is a key of data_retention_config.yaml.

{markdown_table(("measurement", "written", "tells", "kept by"), rows)}"""


def _days(measurement: Measurement) -> int:
    return BUCKETS[measurement.buckets[Tier.RAW]].retention_days


def _sampling() -> str:
    return f"""## How a host looks at itself

A thread beside the shifts looks every {LOOK_S} s and writes every {ROW_S // 60} min, in whichever process has the
spool lane `health-<host>`: one of a host at a time, the next one within a minute after it ended. Of the minutes
between two rows the worst counts: the least memory, the hottest sensor, throttled at any of them. Shares of the
processor are exact over the whole time. The first row after a hand-over has none (`first_look`).

- Memory is the container's where it has a limit of its own (cgroup v2); files that can be dropped count as available.
- A Raspberry Pi tells `throttled` and `under_voltage` by its firmware (`get_throttled`), other boards by the kernel's
  cooling devices. A board without sensors: `no_sensor`.
- `clock_synchronised` is what the kernel was told by chrony, ntpd or systemd-timesyncd. A virtual machine whose host
  keeps the clock right may say no.
- `clock_offset_s` compares with the `Date` of InfluxDB's `/ping`, right to about a second.
- Processes are those of the user that collects: shifts by their lane, `flows` (short ones), `worker`, `server`,
  `page`, `up`. What began and ended between two rows is not seen. `pss` counts what several share once.
- Other systems than Linux tell only load, processors and disk.

What it costs, measured on a virtual machine of two cores, processor time: a look 0.4 ms, a row with `pss` of 100
processes looked through 26 ms, so 0.01 % of a core; latency and counters of a tick of 1,000 miners 0.5 ms; `/metrics`
of a host with 1,000 miners 9 ms.
"""


def _formulas() -> str:
    late_h = LATE_S // 3600
    rows = (
        (
            "lag of delivery",
            "time at which a store took a point - slot of its reading; percentiles straight between the bounds of the "
            "histogram; lanes `backfill` and `replay` bring readings of long ago and have none",
        ),
        (
            "`waiting_s`",
            "now - slot of the newest point stored, while others wait; one tick more at most than the oldest waits",
        ),
        ("latency", "time until an answer was whole, of answers that came; time-outs are failures"),
        ("`success_ratio`", f"answered / asked in an hour of UTC; made again for requests up to {late_h} h late"),
        ("`delivered_ratio`", "1 - lost / expected hashrate of the last 24 h (docs/derived-metrics.md)"),
        ("`known_ratio`", "miners whose newest row is at most 2.5 intervals old / miners of the configuration"),
        ("`credited_ratio`", "credited / predicted, of each pool and coin the newest day of which both are known"),
        ("`profit_change_usd`", "profit of the newest day - mean of the seven before that are known"),
        ("`price_age_s`", "age of the newest price, of the coin whose is oldest; of coins with one in the last day"),
    )
    return f"""## Formulas

{markdown_table(("figure", "formula"), rows)}
Counters and histograms at `/metrics` are kept in files of the data directory and go on after a restart; a power cut
may cost the newest tick. Bounds in seconds: answers {_bounds(SECONDS)}; delivery {_bounds(DELAYS)}.
"""


def _bounds(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


def _scraping() -> str:
    return f"""## Scraping

```yaml
scrape_configs:
  - job_name: lodeline
    scrape_interval: 30s
    basic_auth: {{username: prometheus, password_file: /etc/prometheus/lodeline-page-password}}
    static_configs:
      - targets: ["edge-1:{PageSettings().port}"]
```

Without a password at the page `basic_auth` goes away. Some questions:

```
# part of requests that a source answered, last hour
1 - sum by (source) (rate(lodeline_source_requests_failed_total[1h]))
  / sum by (source) (rate(lodeline_source_requests_total[1h]))
# 95 of 100 points were stored within
histogram_quantile(0.95, sum by (lane, sink, le) (rate(lodeline_delivery_lag_seconds_bucket[15m])))
# points a second
sum by (lane, sink) (rate(lodeline_points_stored_total[5m]))
# cores that the shifts take
sum(rate(lodeline_process_cpu_seconds_total{{process=~"shift-.*"}}[5m]))
```
"""


def _metrics() -> str:
    parts = ["## At /metrics\n"]
    for section, declared in groupby(METRICS.values(), key=lambda one: one.section):
        rows = [
            (
                f"`{one.told_name}`" + (" (`_bucket`, `_sum`, `_count`)" if one.kind is Kind.HISTOGRAM else ""),
                str(one.kind),
                ", ".join(f"`{label}`" for label in one.labels),
                one.meaning,
            )
            for one in declared
        ]
        parts.append(f"### {section}\n\n{markdown_table(('metric', 'type', 'labels', 'meaning'), rows)}")
    return "\n".join(parts)


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(metrics_reference())
    sys.stdout.write(f"{DOCUMENT}\n")


if __name__ == "__main__":
    main()
