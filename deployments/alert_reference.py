"""docs/alerts.md, made from the rules: ``python -m deployments.alert_reference``."""

from __future__ import annotations

import sys
from pathlib import Path

from deployments.markdown import markdown_table
from tasks.alerts.life_cycle import FLAP_CHANGES, FLAP_WINDOW_S
from tasks.alerts.rule import About, Rule
from tasks.alerts.rules import RULES
from tasks.alerts.rules.crowd import LEAST_MINERS
from tasks.alerts.settings import AlertSettings
from tasks.alerts.telling import SEPARATE

DOCUMENT = Path(__file__).parent.parent / "docs" / "alerts.md"

_TITLES = {
    About.SITE: "Sites and racks",
    About.MINER: "Miners",
    About.POOL: "Pools",
    About.MARKET: "Markets",
    About.PIPELINE: "The pipeline",
}


def alert_reference() -> str:
    """The whole document."""
    usual = AlertSettings()
    parts = [_introduction(usual), _life(usual), _channels(usual), _COMPOSITES]
    for about, title in _TITLES.items():
        rules = [rule for rule in RULES.values() if rule.about is about]
        parts.append(f"## {title}\n\n" + "\n".join(map(_section, rules)))
    return "\n".join(parts)


_COMPOSITES = """## Rules of your own

A rule can be made of others, and of conditions over the newest rows of `miner_telemetry`, `worker_match`,
`anomaly_score` and `market_data`. Each part has a window of its own: it holds also where it did within the last
minutes.

```yaml
alerts:
  composite:
    - name: hot_and_slow
      level: critical
      meaning: Hot, fans low and hashrate falling.
      all_of:
        - {rule: chip_too_hot, within_minutes: 15}
        - {field: fan_duty_percent, below: 30, unit: percent}
        - {field: hashrate_hs, of: hashrate_nominal_hs, below: 0.9, unit: ratio}
      muted_by: [miner_unreachable, miner_stale]
    - name: mines_for_nobody
      meaning: The miner is well and its pool does not see it.
      all_of: [{field: state, is_one_of: [mining]}]
      any_of: [{rule: worker_offline, within_minutes: 10}, {rule: pool_all_offline}]
      none_of: [{rule: pool_away}, {rule: hashrate_low, within_minutes: 30}]
    - name: cheap_and_hot
      per: farm
      level: info
      meaning: Little is earned, and some miners are hot. A lower preset costs little now.
      all_of:
        - {measurement: market_data, coin: bitcoin, field: price_usd, below: 50000, unit: USD}
        - {rule: chip_too_hot}
```

What cannot be known leaves it as it is: `all_of` is unknown where a part is and none fails, `any_of` where a part is
and none holds, `none_of` likewise. A pool's worker counts for the miner that it was matched with; an alert of a site or
rack for its miners; prices and the pipeline for all miners. Automated responses can answer such a rule
(docs/responses.md). A rule that is not there, a circle, and a bound without its unit are faults of the configuration.
"""


def _introduction(usual: AlertSettings) -> str:
    return f"""# Alerts

Made from `tasks/alerts` by `python -m deployments.alert_reference`; a test fails when it is stale.

Flow `watch-alerts` looks every {usual.check_interval_seconds} s at what this host can see: the store, and the files
of its own shifts. Deploy it once per store. What it found is in the book of alerts, `state/alerts.sqlite` of the
data directory; what happened to an alert is in measurement `alert_event` for a year.

| to do | command |
|---|---|
| see what fires | `lodeline alerts` (exit code 1 while something does that is not muted) |
| say that you know | `lodeline alerts ack ID`, or `all` |
| be told nothing for a while | `lodeline alerts silence --site north --hours 4 --why "new switch"` |
| see what happened | `lodeline alerts history --hours 48` |
| try the channels | `lodeline alerts test`, `lodeline alerts channels` |
| see what is watched | `lodeline alerts rules` |
| see why an alert is one | `lodeline alerts explain ID`: of a rule of your own which parts held, and when |

Grafana can watch the rules that are a question to InfluxDB: deployments/grafana/rules.md.
"""


def _life(usual: AlertSettings) -> str:
    return f"""## Life of an alert

An alert is *pending* while what a rule finds has not lasted as long as the rule asks (`for`), then *firing*, and
*resolved* when it has been over as long as the rule asks (`keep`). A miner that does not answer is not known to
have cooled down: what cannot be known leaves a firing alert as it is. A pending one waits for a few looks; after a
longer hole, in the looks or in what is known, it begins again. Identity is rule and subject, so an alert has the same
id after a restart and at every host.

- **Acknowledged** (for {usual.acknowledgement_hours:g} hours): not told again and not escalated, until it gets
  worse.
- **Muted**, with the reason in the list: a cause says it all (`muted by` below; a pending cause counts), a site or
  rack as a whole says it, it is paused or forced to a state by hand (`lodeline override`), a window of
  `alerts.maintenance`, or a silence. What still fires when the mute ends is told then.
- **Flapping**: {FLAP_CHANGES} changes within {FLAP_WINDOW_S // 60} minutes are told once, until it is steady.
- **A crowd**: at least {LEAST_MINERS} miners and more than the limit's share of a site, or of a rack of it, are one
  critical alert. The rack is read from `location`: `rack_1_position_2`, or `hall/rack/position`.
- **Without a store** only what files of this host tell is watched; other alerts stay as they are.
"""


def _channels(usual: AlertSettings) -> str:
    steps = ", ".join(f"{minutes} min" for minutes in usual.escalation_minutes)
    return f"""## Channels

```yaml
alerts:
  channels:
    - {{name: chat, url: "${{ALERT_CHAT_URL}}"}} # critical and warning, at once
    - {{name: phone, url: "${{ALERT_PHONE_URL}}", levels: [critical], step: 1}} # what nobody acknowledged in time
  alertmanager_url: http://127.0.0.1:9093
  dead_man_url: "${{DEAD_MAN_URL}}"
  maintenance:
    - {{name: filters, start: "0 9 * * 6", minutes: 60, timezone: Europe/Berlin, site: north, rule: "*hot*"}}
  rules:
    chip_too_hot: {{limit: 90}}
```

`url` is an address as apprise writes it: e-mail, SMS, push, PagerDuty, Slack,
Telegram, webhooks and more. It holds secrets: take it from the environment. Alerts of one look with the same rule
and site are one message, more than {SEPARATE} of them come as one; `messages_per_hour` is never exceeded, and what
did not fit comes together later. A channel that fails is tried again for a day with growing waits. A message that
was sent right before a kill may come twice.

At PagerDuty each alert is an incident of its own, which is resolved when the alert is over. Other incident tools take
the end of an alert for one more message: give them `resolved: false`, or an Alertmanager.

A channel of `step` 1 and above is told only of critical alerts that nobody acknowledged: after {steps}. An
Alertmanager is handed every alert that fires and is not muted, at each look; routes and repeats are its own then.
`dead_man_url` is asked after every look: let something outside tell you when that stops, for a host that is down
tells nobody.
"""


def _section(rule: Rule) -> str:
    limit = "-" if rule.limit is None else f"{rule.limit:g} {rule.unit}"
    table = markdown_table(
        ("level", "limit", "for", "keep", "muted by"),
        [
            (
                str(rule.level),
                limit,
                f"{rule.for_s} s",
                f"{rule.keep_s} s",
                ", ".join(f"`{name}`" for name in sorted(rule.muted_by)) or "-",
            )
        ],
    )
    return f"### {rule.name}\n\n{rule.meaning} {rule.remedy}\n\n{table}"


def main() -> None:
    """Write the document."""
    DOCUMENT.write_text(alert_reference())
    sys.stdout.write(f"{DOCUMENT}\n")


if __name__ == "__main__":
    main()
