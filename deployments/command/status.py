"""``lodeline status``: does it run, and what does it do?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption
from storage.errors import NeedsHuman

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.downsample.watermarks import Watermark
    from tasks.health.fleet import FleetHealth
    from tasks.health.host import HostState
    from tasks.health.status import LaneStatus, Status
    from tasks.sources.budget import Account
    from tasks.sources.standing import RequestStanding

MinerOption = Annotated[
    str | None, typer.Option("--miner", help="Id of one miner: why it is polled as it is.", show_default=False)
]
UNHEALTHY = 1
_NAMED_MINERS = 10


def status(config: ConfigOption = None, miner: MinerOption = None, as_json: JsonOption = False) -> None:
    """Show the fleet, the age of its data, and what waits to be stored on this host; or why a miner is polled as it is.

    Healthy means: every lane ticks, at least one of its miners or sources answers, and every store takes what it is
    given. Requests to pools and markets that fail are named with the reason: unreachable, refused, gone, no credits
    left. What is paused or forced by hand is named. What accounts used of the month's credits is shown, with a
    forecast to its end.

    Reads files only, so that it works while everything else is down. The data directory comes from the configuration
    or from LODELINE_DATA_DIRECTORY.

    With --miner: the miner's interval now and its reason, its circuit breaker, last answer, failures, next poll, flags.
    Healthy means that its last poll was answered.

    Exit code 0: healthy. 1: not healthy, and why. 2: the configuration is wrong, or there is no such miner.

    Example: lodeline status --config /etc/lodeline --json
    """
    import time

    import msgspec

    from deployments import miner_status
    from deployments.settings import load_settings
    from tasks.health.host import look
    from tasks.health.status import read_status

    data_directory, now = load_settings(config).host.data_directory, time.time()
    found: Status | miner_status.MinerStatus
    try:
        if miner is not None:
            found = miner_status.read_miner(data_directory, miner, now)
            lines, healthy = miner_status.in_words(found, now), found.answers
        else:
            found = read_status(data_directory, now)
            lines, healthy = [*in_words(found), host_in_words(look(data_directory))], found.healthy
    except PermissionError as error:
        raise NeedsHuman(
            f"{error.filename} may not be read by this user", remedy="Run this as the user that collects"
        ) from error
    typer.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(lines))
    if not healthy:
        raise typer.Exit(UNHEALTHY)


def in_words(found: Status) -> list[str]:
    """Lines for a human."""
    lines = ["Healthy." if found.healthy else "Not healthy:"]
    lines += [f"  {reason}" for reason in found.reasons]
    lines += ["By hand"] * bool(found.overrides)
    lines += [f"  {one.target} {one.subject}: {one.in_words()}; {one.id}" for one in found.overrides]
    for lane in found.lanes:
        lines += _lane_in_words(lane)
    if found.fleet is not None:
        lines += _fleet_in_words(found.fleet)
    return lines + _rolled_up_in_words(found.rolled_up)


def _fleet_in_words(fleet: FleetHealth) -> list[str]:
    """What the business hangs on; what is not known is left out."""
    told = [f"{fleet.miners_known} of {fleet.miners} miners known"]
    if fleet.delivered_ratio is not None:
        told.append(f"{fleet.delivered_ratio:.1%} of the hashrate delivered")
    if fleet.credited_ratio is not None:
        told.append(f"{fleet.credited_ratio:.1%} of what was predicted credited")
    if fleet.profit_day_usd is not None:
        mean = "" if fleet.profit_mean_usd is None else f" (mean of the days before {fleet.profit_mean_usd:,.2f})"
        told.append(f"profit of the last day {fleet.profit_day_usd:,.2f} USD{mean}")
    return [f"Fleet, as of {_clock(fleet.time)}", f"  {'; '.join(told)}"]


def host_in_words(host: HostState) -> str:
    """The machine in one line; what its board or system does not tell is left out."""
    told = [f"load {host.load_1m:.1f} on {host.cpus} cores"]
    if host.memory_available is not None and host.memory_total is not None:
        told.append(f"{host.memory_available / 2**20:,.0f} of {host.memory_total / 2**20:,.0f} MiB memory free")
    told.append(f"{host.disk_free / 1e9:,.1f} of {host.disk_total / 1e9:,.1f} GB disk free")
    if host.temperature_c is not None:
        told.append(f"{host.temperature_c:.0f} °C" + (", slowed down" if host.throttled else ""))
    if host.under_voltage:
        told.append("too little voltage")
    return f"Host: {', '.join(told)}"


def _rolled_up_in_words(rolled_up: Mapping[str, Watermark]) -> list[str]:
    """One line for each time up to which something is complete, the furthest behind first."""
    names: dict[tuple[int, int], list[str]] = {}
    for name, mark in rolled_up.items():
        names.setdefault((mark.complete_until, mark.looked_at), []).append(name)
    return ["Rolled up"] * bool(names) + [
        f"  until {_clock(until)}, as of {_clock(looked_at)}: {', '.join(sorted(found))}"
        for (until, looked_at), found in sorted(names.items())
    ]


def _lane_in_words(lane: LaneStatus) -> list[str]:
    from tasks.health.rows import LANES_OF_THE_PAST

    failures = ", ".join(f"{reason} {number}" for reason, number in sorted(lane.failed_by_reason.items()))
    newest = "none yet" if lane.newest_data_age_s is None else f"{_duration(lane.newest_data_age_s)} old"
    lines = [
        f"Lane {lane.lane} on {lane.host}, into {lane.store}",
        f"  last tick    {_duration(lane.tick_age_s)} ago, took {lane.tick_s:.1f} s",
        f"  {'requests' if lane.sources else 'miners':<12} {lane.polled} asked, {lane.failed} failed"
        + (f" ({failures})" if failures else "")
        + (f", {lane.left_alone} left alone (breaker open)" if lane.left_alone else ""),
        f"  newest data  {newest}",
    ]
    answers = lane.tally.answers
    median_s, most_s = answers.quantile(0.5), answers.quantile(0.95)
    if median_s is not None and most_s is not None:
        part = answers.count / lane.tally.asked if lane.tally.asked else 1.0
        lines.append(
            f"  so far       {part:.1%} answered, half within {median_s:.2f} s, 95 of 100 within {most_s:.2f} s"
        )
    lines += [_credits_in_words(source, account) for source, account in lane.credits.items()]
    for sink, account in sorted(lane.sinks.items()):
        lines.append(
            f"  to {sink:<9} {account.accepted:,} points accepted, {account.stored:,} stored, "
            f"{account.backlog:,} waiting, {account.dead_lettered:,} dead-lettered, {account.shed:,} shed"
        )
        late_s = account.lag.delays.quantile(0.95) if account.lag and lane.lane not in LANES_OF_THE_PAST else None
        if late_s is not None:
            lines.append(f"               95 of 100 points stored within {late_s:.1f} s of their reading")
    if not lane.sinks:
        lines.append("  delivery     not started yet")
    for miner in lane.failing[:_NAMED_MINERS]:
        since = "never answered" if miner.last_success is None else f"silent since {_clock(miner.last_success)}"
        lines.append(f"  {miner.miner_id}: {miner.failure}, {since}")
    lines += [_source_in_words(source) for source in lane.sources if source.failure or source.covered_by]
    if len(lane.failing) > _NAMED_MINERS:
        lines.append(f"  and {len(lane.failing) - _NAMED_MINERS} more that fail; --json names them all")
    return lines


def _credits_in_words(source: str, account: Account) -> str:
    """A month's budget: what was used and for what, and what is to be expected of it."""
    uses: dict[str, float] = {}
    for request, used in account.by_request.items():  # one request of each coin is one use
        uses[request.partition(".")[0]] = uses.get(request.partition(".")[0], 0.0) + used
    told = ", ".join(f"{name} {used:,.0f}" for name, used in sorted(uses.items(), key=lambda use: -use[1]))
    short = "" if account.forecast <= account.credits else ": what is asked most often will be asked less often"
    return (
        f"  credits      {source}: {account.used:,.0f} of {account.credits:,.0f} used this month"
        f"{f' ({told})' if told else ''}, {account.forecast:,.0f} by its end at these intervals{short}"
    )


def _source_in_words(source: RequestStanding) -> str:
    """A request that failed, or that is not asked since a stream brings the same, or since its pool is paused."""
    from tasks.pools.prohashing.watch import LEFT

    name = f"  {source.source} {source.request}"
    if source.failure is None:
        left = source.covered_by == LEFT
        return f"{name}: not asked while its pool is paused" if left else f"{name}: brought by {source.covered_by}"
    since = "never answered" if source.success_slot is None else f"silent since {_clock(source.success_slot)}"
    return f"{name}: {source.failure}, {since}: {source.message}"


def _duration(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _clock(unix_s: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(unix_s, dt.UTC):%Y-%m-%d %H:%M} UTC"
