"""Which lanes have somebody to ask."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.collection_settings import CollectionSettings
from tasks.sources.lanes import lanes_of


@pytest.mark.parametrize(
    ("said", "lanes"),
    [
        ({}, []),
        ({"market_data": {"network": {"enabled": True}}}, []),  # nothing is followed
        ({"market_data": {"network": {"coins": ["bitcoin"]}}}, ["market"]),
        ({"market_data": {"coingecko": {}}}, ["market"]),
        ({"prohashing": {"api_key": "k"}}, ["pools"]),
        (
            {"pools": [{"id": "p", "kind": "f2pool", "state": "gone"}], "market_data": {"coingecko": {}}},
            ["pools", "market"],
        ),
    ],
)
def test_lanes_follow_from_the_configuration(said: dict[str, Any], lanes: list[str]) -> None:
    assert lanes_of(CollectionSettings.model_validate(said)) == lanes
