"""Section responses: off by default, and every mistake named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.collection_settings import CollectionSettings
from tasks.responses.response import Mode

COOL = {"name": "cool", "rule": "cooling_failing", "action": "change_preset"}


def collection(**responses: Any) -> CollectionSettings:
    return CollectionSettings.model_validate({"responses": responses})


def test_off_unless_said_and_yaml_may_write_on_and_off_bare() -> None:
    assert CollectionSettings().responses.mode is Mode.OFF
    assert collection(mode=False).responses.mode is Mode.OFF
    assert collection(mode=True, actions=[COOL]).responses.mode is Mode.ON
    assert collection(mode="dry_run", actions=[COOL]).responses.mode is Mode.DRY_RUN


@pytest.mark.parametrize(
    ("responses", "told"),
    [
        ({"mode": "on"}, "mode is on and there are no actions"),
        ({"actions": [COOL | {"rule": "cooling_fails"}]}, "not in force; did you mean cooling_failing?"),
        (
            {"actions": [COOL | {"rule": "store_away"}]},
            "change_preset is done to a miner, and rule store_away is about",
        ),
        ({"actions": [COOL | {"rule": "worker_offline", "action": "pause_source"}]}, "answers market_source_away or"),
        ({"actions": [COOL | {"rule": "disk_filling", "action": "shed_low_priority"}]}, "answers collector_overloaded"),
        ({"actions": [COOL, COOL]}, "name"),
        ({"actions": [COOL | {"from_hour": 8, "to_hour": 8}]}, "leave no hour"),
        ({"actions": [COOL | {"per_miner_per_day": 0}]}, "greater than or equal to 1"),
        ({"fleet_share": 0.6}, "less than or equal to 0.5"),
        ({"actions": [COOL | {"action": "reboot"}]}, "'restart_mining', 'change_preset'"),
    ],
)
def test_mistakes(responses: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        collection(**responses)
    assert told in str(error.value)


def test_nobody_would_look() -> None:
    with pytest.raises(ValidationError, match="nobody would look"):
        CollectionSettings.model_validate(
            {"alerts": {"enabled": False}, "responses": {"mode": "dry_run", "actions": [COOL]}}
        )


def test_a_rule_that_is_switched_off_cannot_be_answered() -> None:
    with pytest.raises(ValidationError, match="rule 'cooling_failing' is not in force"):
        CollectionSettings.model_validate(
            {"alerts": {"rules": {"cooling_failing": {"enabled": False}}}, "responses": {"actions": [COOL]}}
        )
