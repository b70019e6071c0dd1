"""Online is offline, for every feature of every view, after whatever happens to a row: late, corrected, withdrawn, of
two hosts in turn, erased, of a new version of the view, in a host whose zone changes its clock that hour.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.declaration import Tier, Type
from storage.downsample.run import roll_up
from storage.downsample.touch import touched_frame
from storage.erasure.entity import Entity
from storage.erasure.features import erase_from_online
from storage.erasure.lake import erase_from_lake
from storage.features import registry
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.reading import MISSING, Reading
from storage.features.rows import entity_key
from storage.features.table import feature_table, published
from storage.features.view import REMEMBERED_S, FeatureView
from storage.features.views import VIEWS
from storage.spool.record import Batch, SpoolRecord
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import KEPT
from tests.warehouse.seed import frame_of

BEGUN = 1_793_577_600
"""2026-11-02T00:00Z: the day on which New York sets its clock back is over."""

NAMES = ("one", "other", "late")
ATTACKED = ("miner_hourly", "market")
"""Views that more happens to: one that is rolled up and one of raw rows."""


def number_of(view: FeatureView) -> str:
    """A feature that is the number that was put in."""
    as_is = (f.name for f in view.features if view.tier is Tier.RAW or f.source.endswith("_mean"))
    return next(name for name in as_is if view.feature(name).type is Type.FLOAT)


class Source:
    """Rows of one view, as its source would get them."""

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        self.store = MemoryStore()

    def tags(self, name: str) -> dict[str, str]:
        return {tag: f"{name} of {tag}" for tag in self.view.entity}

    def entity(self, name: str) -> str:
        return entity_key(list(self.tags(name).values()))

    def put(self, name: str, end: int, value: float, *, at: int) -> None:
        """A row of event time ``end``, all of whose numbers follow from ``value``, delivered at ``at``."""
        measurement, view = self.view.measurement, self.view
        row: dict[str, Any] = {tag: "x" for tag in measurement.tag_names} | self.tags(name) | dict(view.where)
        wanted = {f.source for f in view.features} if view.tier is Tier.RAW else set(measurement.field_by_name)
        for number, declared in enumerate(measurement.fields):
            if declared.name in wanted and declared.type in (Type.FLOAT, Type.INTEGER):
                row[declared.name] = value + number if declared.type is Type.FLOAT else int(value) + number
            elif declared.name in wanted and declared.type is Type.BOOLEAN:
                row[declared.name] = int(value) % 2 == 1
        frames = [frame_of(measurement.name, [{**row, "time": end - view.width_s}])]
        self.store.write(frames)
        touched = touched_frame([SpoolRecord("x", at, 0, Batch("b", at, "run", frames))], "host", at * 1_000_000_000)
        if touched is not None:
            self.store.write([touched])

    def drop(self, name: str) -> None:
        """Take every row of it away, as if it had never been."""
        for rows in self.store.rows.values():
            for key in [key for key in rows if any(value in key[0] for value in self.tags(name).values())]:
                del rows[key]


class Hosts:
    """Two hosts that publish one source into one lake, each with an online store of its own."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.lake = folder / "lake"
        self.files = [folder / "first.sqlite", folder / "second.sqlite"]
        self.views = [source.view]

    def publish(self, now: int) -> None:
        """The two take turns in who comes first, who alone finds something to publish."""
        if self.source.view.tier is not Tier.RAW:
            roll_up(self.source.store, now, measurements=[self.source.view.measurement.name], retention_days=KEPT)
        self.files.reverse()
        for file in self.files:
            with OnlineStore(file) as online:
                publish(self.source.store, self.lake, online, now, KEPT, views=self.views).raise_troubles()

    def require_same(self, now: int) -> list[float | None]:
        """The number that was put in, of each entity now."""
        offline, found = OfflineStore(self.lake), []
        for view in self.views:
            asked = [
                (self.source.entity(name), at)
                for at in (now, now + 1, now + view.ttl_s, now + view.ttl_s + REMEMBERED_S)
                for name in NAMES
            ]
            rows = offline.join(view, [entity for entity, _ in asked], np.array([at for _, at in asked])).to_pylist()
            for file in self.files:
                with OnlineStore(file) as online:
                    for (entity, at), row in zip(asked, rows, strict=True):
                        assert told(online.get(view, entity, at)) == row
            found = [row[number_of(view)] for row in rows[: len(NAMES)]]
        return found


def told(reading: Reading) -> dict[str, Any]:
    """What was read online as a row of an offline join."""
    times = {"time": reading.at, "event": reading.event, "known": reading.known}
    reasons = {why for why in reading.reasons.values() if why != MISSING}
    assert len(reasons) < 2
    return {
        "entity": reading.entity,
        **{name: None if at is None else datetime.fromtimestamp(at, UTC) for name, at in times.items()},
        "reason": next(iter(reasons), None),
        **reading.values,
    }


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_whatever_happens_to_a_row(view: FeatureView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, step = BEGUN, view.width_s or 900
    source = Source(view)
    hosts = Hosts(source, tmp_path)

    def now(steps: int) -> int:
        return begun + steps * step + view.lag_s

    source.put("one", begun, 100.0, at=begun + 60)
    source.put("other", begun, 200.0, at=begun + 60)
    hosts.publish(now(0))
    first = hosts.require_same(now(0))
    assert None not in first[:2]
    assert first[2] is None

    source.put("one", begun + step, 110.0, at=now(1) - 60)  # the next row of one
    source.put("other", begun, 210.0, at=now(1) - 60)  # a correction of the newest row
    source.put("late", begun, 300.0, at=now(1) - 60)  # and a row that comes late
    hosts.publish(now(1))
    second = hosts.require_same(now(1))
    assert second[2] is not None
    assert all(before != after for before, after in zip(first, second, strict=True))
    # published in the second in which it is asked for, and a second before not yet known
    before = OfflineStore(hosts.lake).get(view, source.entity("other"), now(1) - 1)
    assert (before.event, before.values[number_of(view)]) == (begun, first[1])
    if view.name in ATTACKED:
        _attack(hosts, now(2), now(3), monkeypatch)


def _attack(hosts: Hosts, now: int, later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that its source takes back, another version of the view, an entity that is erased."""
    source, view = hosts.source, hosts.source.view
    before = hosts.require_same(now)[1]
    newer = dataclasses.replace(view, version=2, features=view.features[:-5])
    monkeypatch.setitem(registry.FINGERPRINTS, newer.stored_name, newer.fingerprint)
    monkeypatch.setitem(VIEWS, "the newer", newer)
    hosts.views.append(newer)
    source.drop("late")
    source.put("other", BEGUN, 220.0, at=now - 60)  # which has the hour looked at
    hosts.publish(now)
    _, other, late = hosts.require_same(now)
    assert before is not None
    assert (other, late) == (before + 10, None)

    gone = Entity(source.tags("one"), 0, later)
    source.drop("one")
    erase_from_lake(hosts.lake, gone)
    for file in hosts.files:
        erase_from_online(file, gone)
    assert hosts.require_same(now)[0] is None
    hosts.publish(later)
    assert hosts.require_same(later)[0] is None
    for declared in hosts.views:
        rows = published(feature_table(hosts.lake, declared), declared)
        assert source.entity("one") not in rows["entity"].to_pylist()
