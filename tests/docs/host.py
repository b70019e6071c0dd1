"""A host on which the commands of the documents can be run as they stand: a simulated farm collected, stored, derived.

It is 13:10 UTC of 2026-11-25 there. What a page calls ``miner_0001``, ``north`` or ``bitcoin`` has that name there.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from deployments.farm import ALL_VARIANTS, Farm
from storage.audit.trail import AuditKind, Trail
from storage.backup.making import Sources, make_backup
from storage.declaration import BUCKETS
from storage.downsample.run import roll_up
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.frame import Value, build_frame
from storage.lake.maintenance import maintain
from storage.lake.store import EmbeddedStore
from storage.settings import ONLINE_FEATURES, StorageSettings
from storage.warehouse.build import Surroundings, build
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level
from tasks.derive.operations import derive_operational
from tasks.miners import cadence
from tasks.miners.cadence import Bounds
from tasks.miners.memory import MemoryFile, MinerMemory
from tests.replay.collected import START, collect

NOW = START + 70 * 60
EVERY_S = 1_500
ALERT = "3f0a91c2de"
_KEPT = {name: min(bucket.retention_days, 30) for name, bucket in BUCKETS.items()}


@dataclass(frozen=True)
class DocumentedHost:
    """Where it lies."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a command on it."""
        return {"LODELINE_CONFIG": str(self.config), "LODELINE_DATA_DIRECTORY": str(self.data), "COLUMNS": "200"}

    def copied(self, folder: Path) -> DocumentedHost:
        """A copy for a command that changes what is stored. It polls no miners any more."""
        shutil.copytree(self.folder, folder)
        _configure(folder, polls=False)
        return DocumentedHost(folder)


def documented_host(folder: Path) -> DocumentedHost:
    """Make one in ``folder``."""
    asyncio.run(collect(folder / "data", 3, step_s=EVERY_S))
    _configure(folder)
    _store(folder / "data")
    settings = StorageSettings(data_directory=folder / "data")
    make_backup(Sources.of(settings, None), folder / "backup", actor="test")
    return DocumentedHost(folder)


def _configure(folder: Path, *, polls: bool = True) -> None:
    (folder / "config").mkdir(exist_ok=True)
    farm = Farm(len(ALL_VARIANTS), port=80, mix=ALL_VARIANTS)
    further = {
        "alerts": {"channels": [{"name": "ops", "url": "json://127.0.0.1:9/hush"}]},
        "market_data": {"coingecko": {"enabled": True}},
    }
    said = farm.configuration(EVERY_S, further)
    (folder / "config" / "data_collection_config.yaml").write_text(yaml.safe_dump(said if polls else {"miners": []}))
    kept = {"general": {"archive_base_path": str(folder / "archive")}}
    (folder / "config" / "data_retention_config.yaml").write_text(yaml.safe_dump(kept))


def _store(data: Path) -> None:
    trail = Trail.open(data, "host")
    trail.record(AuditKind.CONFIGURATION_CHANGED, "miners", actor="lodeline up", detail={"miners": 10})
    store = EmbeddedStore(data / "lake")
    price: dict[str, list[Value]] = {"coin_id": ["bitcoin"], "source": ["coingecko"], "price_usd": [90_000.0]}
    store.write([build_frame("market_data", [START], price)])
    roll_up(store, NOW, retention_days=_KEPT)
    derive_operational(store, {}, NOW)
    with OnlineStore(data / ONLINE_FEATURES) as online:
        publish(store, data / "lake", online, NOW - 60, _KEPT)
    build(store, data / "lake", NOW, Surroundings(_KEPT, "UTC", {}, {}))
    store.close()
    maintain(data / "lake", NOW, retention_days={})
    pace = cadence.at_first(Bounds(EVERY_S, EVERY_S, EVERY_S))
    known = MinerMemory(
        miner_id="miner_0001", driver="vnish-rest", telemetry=pace, configuration=pace, polled=NOW, succeeded=NOW,
        state="mining",
    )  # fmt: skip
    MemoryFile(data / "state", "miners").write([known])
    book = Book.open(data / "state")
    alert = Alert(
        id=ALERT, rule="fan_lost", subject="miner_0002", entity="miner_0002", site="north", rack="", within="",
        level=Level.CRITICAL, phase=Phase.FIRING, since=NOW - 600, seen=NOW - 5, message="fan 1 stands still",
        fired=NOW - 500,
    )  # fmt: skip
    with book.transaction():
        book.replace_alerts([alert])
        book.note_look(Look(at=NOW - 5, muted={}))
