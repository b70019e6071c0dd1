"""Feature groups of the template in terms of views, and what is said of those that no view has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.settings import load_settings
from storage.errors import ConfigurationError
from storage.features.registry import FINGERPRINTS
from storage.features.views import VIEWS
from tasks.abacus.definition import SENT, VIEW_OF, definitions_of
from tests.abacus.conftest import MINER, settings

TEMPLATES = Path(__file__).parents[3] / "shared" / "config-templates"
SECRETS = {"ABACUS_API_KEY": "k" * 12, "MINER_PASSWORD": "p", "PROHASHING_API_KEY": "p", "CMC_API_KEY": "c"}


def test_the_missions_template():
    if not TEMPLATES.is_dir():
        pytest.skip(f"{TEMPLATES} is not here")
    abacus = load_settings(TEMPLATES, SECRETS).abacus
    assert abacus is not None
    made = {d.name: d for d in definitions_of(abacus.feature_groups)}
    assert {name: d.column_names for name, d in made.items()} == {
        "miner_telemetry": ["record_id", "timestamp", "known_at", "miner_id", "hashrate_th_s", "power_consumption_w",
                            "efficiency_j_th", "avg_temperature_c"],
        "pool_performance": ["record_id", "timestamp", "known_at", "pool_id", "worker_id", "algorithm",
                             "effective_hashrate", "accepted_shares", "earnings_usd"],
        "market_data": ["record_id", "timestamp", "known_at", "coin_id", "source", "price_usd", "market_cap_usd",
                        "volume_24h_usd"],
    }  # fmt: skip
    assert {d.name: d.lookup for d in made.values()} == {
        "miner_telemetry": "miner_id", "pool_performance": "worker_id", "market_data": "coin_id",
    }  # fmt: skip
    assert made["pool_performance"].types["accepted_shares"] == "INTEGER"
    units = {column.name: column.sent.unit for column in made["miner_telemetry"].columns}
    assert units == {
        "hashrate_th_s": "TH/s", "power_consumption_w": "W", "efficiency_j_th": "J/TH", "avg_temperature_c": "degC",
    }  # fmt: skip
    assert "- hashrate_th_s [TH/s]: Mining hashrate in TH/s" in made["miner_telemetry"].full_description


def test_the_table_of_names_is_of_features_that_are_there():
    assert set(VIEW_OF.values()) | set(SENT) <= set(VIEWS)
    for view, names in SENT.items():
        units = {feature.name: feature.unit for feature in VIEWS[view].features}
        for sent in names.values():
            assert sent.feature in units
            assert sent.divisor != 1 or sent.unit == units[sent.feature]


def _group(**changes: Any) -> dict[str, Any]:
    return {**MINER, **changes}


_MODEL = {"name": "miner_id", "type": "STRING", "feature": "model"}


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (_group(name="weather"), "there is no feature view 'weather'; set view to one of miner_hourly, miner_daily"),
        (_group(entity_id_column="worker_id"), "entity_id_column worker_id: view miner_hourly is by miner_id"),
        (
            _group(features=[{"name": "noise_db", "type": "FLOAT"}]),
            "view miner_hourly has no feature 'noise_db'; it has hashrate_th_s, power_consumption_w",
        ),
        (
            _group(features=[{"name": "model", "type": "FLOAT"}]),
            "feature model is of type FLOAT, in view miner_hourly of string",
        ),
        (
            _group(features=[{"name": "power_w", "type": "FLOAT"}, _MODEL]),
            "column miner_id is there twice",
        ),
        (_group(timestamp_column="_time"), "'_time' is no name of a table or column at Abacus.AI"),
    ],
)  # fmt: skip
def test_faults_are_said_with_their_place(group, said):
    with pytest.raises(ConfigurationError) as caught:
        definitions_of(settings(groups=[_group(name="miner_daily"), group]).feature_groups)
    assert f"feature_groups[1] {group['name']}" in str(caught.value)
    assert said in str(caught.value)


def test_any_feature_of_any_view_can_be_said():
    group = {
        "name": "networks", "view": "network", "entity_id_column": "coin_id",
        "features": [{"name": "difficulty", "feature": "network_difficulty", "type": "FLOAT"}],
    }  # fmt: skip
    (made,) = definitions_of(settings(groups=[group]).feature_groups)
    assert made.columns[0].source.name == "network_difficulty"
    assert made.view.stored_name in FINGERPRINTS


def test_the_fingerprint_follows_what_a_row_is_not_its_description():
    (made,) = definitions_of(settings().feature_groups)
    (reworded,) = definitions_of(settings(groups=[_group(description="other")]).feature_groups)
    fewer = _group(features=MINER["features"][:2])
    (changed,) = definitions_of(settings(groups=[fewer]).feature_groups)
    assert made.fingerprint == reworded.fingerprint != changed.fingerprint
