"""Section alerts: what is wrong in it is told, and what is changed is in force."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.alerts.rule import Level
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings

CHANNEL = {"name": "ops", "url": "json://127.0.0.1"}
WINDOW = {"name": "w", "minutes": 60}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"rules": {"chip_to_hot": {}}}, "did you mean chip_too_hot?"),
        ({"rules": {"board_lost": {"limit": 2}}}, "compares with no limit"),
        ({"rules": {"board_lost": {"level": "bad"}}}, "info"),
        ({"channels": [CHANNEL | {"step": 3}]}, "escalation_minutes has 2"),
        ({"escalation_minutes": [60, 15]}, "minutes that rise"),
        ({"maintenance": [WINDOW]}, "either start or on"),
        ({"maintenance": [WINDOW | {"on": "2026-12-01T22:00:00"}]}, "offset from UTC"),
        ({"maintenance": [WINDOW | {"start": "0 25 * * *"}]}, "cron"),
        ({"check_interval_seconds": 1}, "10"),
    ],
)
def test_what_is_wrong_is_told(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        AlertSettings.model_validate(section)
    assert said in str(error.value)


def test_what_is_changed_is_in_force_and_nothing_else() -> None:
    settings = AlertSettings.model_validate(
        {
            "rules": {
                "board_lost": {"enabled": False},
                "chip_too_hot": {"limit": 80, "level": "warning", "for_seconds": 0, "keep_seconds": 10},
            }
        }
    )
    rules = settings.rules_in_force()
    assert rules.keys() == RULES.keys() - {"board_lost"}
    hot = rules["chip_too_hot"]
    assert (hot.limit, hot.level, hot.for_s, hot.keep_s) == (80, Level.WARNING, 0, 10)
    # and crowds of it, and of what it explains, look with that limit
    changed = {"chip_too_hot", *(f"many_{name}" for name in ("chip_too_hot", "hashrate_low", "miner_odd"))}
    assert {name for name in rules if rules[name] != RULES[name]} == changed


def test_no_secret_is_shown() -> None:
    settings = AlertSettings.model_validate(
        {"channels": [{"name": "ops", "url": "json://hush-4711"}], "dead_man_url": "https://hush-4711"}
    )
    assert "hush-4711" not in f"{settings!r} {settings.model_dump_json()}"
