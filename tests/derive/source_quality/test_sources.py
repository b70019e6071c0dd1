"""Sources of a configuration and what their intervals are."""

from __future__ import annotations

from tasks.collection_settings import CollectionSettings
from tasks.derive.source_quality.sources import intervals_of


def test_intervals_are_those_of_the_configuration() -> None:
    told = CollectionSettings.model_validate(
        {
            "miners": [
                {"id": "steady", "model": "S19", "ip": "127.0.0.1", "polling_interval_seconds": 60, "adaptive": False},
                {"id": "adaptive", "model": "S19", "ip": "127.0.0.2", "polling_interval_seconds": 60},
            ],
            "prohashing": {"api_key": "x", "state": "gone"},
            "pools": [
                {"id": "v", "kind": "viabtc", "api_key": "x", "polling_intervals": {"workers": 600}},
                {"id": "old", "kind": "mining_dutch", "state": "gone"},
            ],
            "market_data": {
                "coingecko": {"coins": ["bitcoin"], "polling_intervals": {"simple_price": 120}},
                "coinmarketcap": {"enabled": False},
                "network": {"mempool_space": {"polling_interval": 1200}, "blockchain_info": {"enabled": False}},
            },
        }
    )
    # a miner that is polled more seldom while nothing goes on: at twice its interval (docs/configuration.md)
    assert intervals_of(told) == {
        "miner": {"steady": 60, "adaptive": 120},
        "pool": {"v": 600},
        "price": {"coingecko": 120},
        "network": {"mempool.space": 1200, "whattomine": 900},
    }


def test_who_collects_nothing_is_owed_nothing() -> None:
    assert intervals_of(CollectionSettings()) == {"miner": {}, "pool": {}, "price": {}, "network": {}}
