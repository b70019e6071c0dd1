"""Fingerprint of every version of every view that was ever declared. A version keeps its fingerprint for ever.

Who changes a view gives it the next version and adds a line here; the old line stays. A view whose line is missing or
says something else is refused, so that no definition changes in silence. ``python -m storage.features.registry`` prints
the lines that the views have now.
"""

from __future__ import annotations

import sys

from storage.errors import NeedsHuman
from storage.features.view import FeatureView
from storage.features.views import VIEWS

FINGERPRINTS: dict[str, str] = {
    "miner_hourly_v1": "e28a5c25fdd4",
    "miner_daily_v1": "57be0315b7a5",
    "miner_configuration_v1": "d6ef1deaa574",
    "pool_worker_hourly_v1": "2448becc4453",
    "market_v1": "dffcf0e934bd",
    "network_v1": "bd9e97df683d",
    "indicators_v1": "447fb50f1e9e",
    "operational_v1": "05661617dcf2",
    "profit_hourly_v1": "7cc4aac99218",
    "profit_daily_v1": "afe82a701234",
    "anomaly_v1": "d2abefa20a4c",
    "profitability_v1": "cb97e15a5fdb",
}


def require_registered(view: FeatureView) -> None:
    """Refuse a view that is not what its version says.

    Raises:
        NeedsHuman: it changed and kept its version, or its version has no line.
    """
    registered = FINGERPRINTS.get(view.stored_name)
    if registered != view.fingerprint:
        raise NeedsHuman(
            f"Feature view {view.name} version {view.version} has fingerprint {view.fingerprint}, registered is "
            f"{registered or 'none'}",
            remedy="Give a changed view a new version in storage/features/views.py, and a line in registry.py",
        )


if __name__ == "__main__":
    for declared in VIEWS.values():
        sys.stdout.write(f'    "{declared.stored_name}": "{declared.fingerprint}",\n')
