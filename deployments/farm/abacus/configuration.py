"""What a host is told so that it exports to the fake, and never takes it for the service."""

from __future__ import annotations

import json
import secrets

from deployments.farm.abacus.foresight import DEPLOYMENT, FEATURE, GROUP, VALUE
from tasks.abacus.settings import PREFIX

KEY = f"{PREFIX}GENERAL__API_KEY"
ENVIRONMENT = "fake"
"""Label under which the host keeps its journals of the fake, apart from those of the service."""

SCHEDULE = "4-59/5 * * * *"
"""Exports to the fake are for looking at: every five minutes."""

GROUPS = [
    {
        "name": "miner_telemetry",
        "description": "Telemetry of miners, by the hour",
        "entity_id_column": "miner_id",
        "features": [
            {"name": "hashrate_th_s", "type": "FLOAT"},
            {"name": "power_consumption_w", "type": "FLOAT"},
            {"name": "efficiency_j_th", "type": "FLOAT"},
            {"name": "avg_temperature_c", "type": "FLOAT"},
        ],
    },
    {
        "name": "pool_performance",
        "description": "What pools say of workers, by the hour",
        "entity_id_column": "worker_id",
        "features": [
            {"name": "effective_hashrate", "type": "FLOAT"},
            {"name": "accepted_shares", "type": "INTEGER"},
            {"name": "earnings_usd", "type": "FLOAT"},
        ],
    },
    {
        "name": "market_data",
        "description": "Prices of coins",
        "entity_id_column": "coin.id",
        "features": [
            {"name": "price_usd", "type": "FLOAT"},
            {"name": "market_cap_usd", "type": "FLOAT"},
            {"name": "volume_24h_usd", "type": "FLOAT"},
        ],
    },
]

PREDICTIONS = [
    {
        "name": "price_unchanged",
        "deployment_id": DEPLOYMENT,
        "feature_group": GROUP,
        "feature": FEATURE,
        "value_column": VALUE,
        "every_hours": 1,
    }
]


def variables(url: str, key: str) -> dict[str, str]:
    """``LODELINE_ABACUS__...`` of a host that exports to the fake at ``url``."""
    return {
        f"{PREFIX}GENERAL__API_URL": url,
        KEY: key,
        f"{PREFIX}GENERAL__PROJECT_ID": "fake",
        f"{PREFIX}GENERAL__ENVIRONMENT": ENVIRONMENT,
        f"{PREFIX}BATCH_PROCESSING__SCHEDULE": SCHEDULE,
        f"{PREFIX}FEATURE_GROUPS": json.dumps(GROUPS),
        f"{PREFIX}PREDICTIONS": json.dumps(PREDICTIONS),
    }


def fresh_key() -> str:
    """A key for one session."""
    return secrets.token_hex(16)
