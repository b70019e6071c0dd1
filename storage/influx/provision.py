"""Makes InfluxDB as declared: buckets or databases with their retention, and what InfluxQL needs to find them.

The pieces are in storage/influx/provisioning; ``lodeline provision`` puts accesses on top and asks before it acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from storage.influx.provisioning.plan import CreateBucket, CreateMapping, Step, plan
from storage.influx.provisioning.server import provisionable
from storage.influx.provisioning.state import desired_state
from storage.influx.settings import InfluxSettings


def provision(
    settings: InfluxSettings,
    retention_days: Mapping[str, int] | None = None,
    *,
    only_missing: bool = False,
    taken: Callable[[Step], None] = lambda _: None,
) -> list[Step]:
    """Take every step towards the declaration, or with ``only_missing`` those that make something; the steps taken.

    ``retention_days`` goes over the declared days, by bucket. Without ``only_missing`` a shorter retention lets the
    server delete older data. Nothing is ever deleted by name. ``taken`` hears of each step once it is taken.

    Raises:
        ValueError: ``retention_days`` names an unknown bucket or less than a day.
        TryAgain: no answer, or the server is busy.
        NeedsHuman: it refused; it says why.
    """
    desired = desired_state(settings, retention_days or {})
    with provisionable(settings) as server:
        steps = plan(desired, server.found(desired))
        if only_missing:
            steps = [step for step in steps if isinstance(step, CreateBucket | CreateMapping)]
        for step in steps:
            server.take(step)
            taken(step)
    return steps
