"""The newest entry of every host that the stores know: by it, entries cut off at the end of a trail are missed."""

from __future__ import annotations

import time

from storage.audit.trail import file_name
from storage.audit.verify import Anchor
from storage.declaration import Tier
from storage.declaration.audit import AUDIT_EVENT
from storage.errors import LodelineError
from storage.opening import open_lake, open_store
from storage.settings import StorageSettings


def anchors_of(settings: StorageSettings) -> tuple[dict[str, Anchor], str | None]:
    """Anchors by name of the trail's file, the newest of InfluxDB and lake; and why they are not all known."""
    anchors: dict[str, Anchor] = {}
    troubles = []
    for opened in (open_store, open_lake):
        try:
            store = opened(settings)
            if store is None:
                continue
            try:
                rows = store.read(AUDIT_EVENT, Tier.RAW, 0, int(time.time()) + 86_400, columns=["sequence", "hash"])
            finally:
                store.close()
        except LodelineError as error:
            troubles.append(str(error))
            continue
        for row in rows.to_pylist():
            name = file_name(row["host"])
            if name not in anchors or anchors[name].sequence < row["sequence"]:
                anchors[name] = Anchor(row["sequence"], row["hash"])
    return anchors, "; ".join(troubles) or None
