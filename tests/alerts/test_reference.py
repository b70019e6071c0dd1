"""docs/alerts.md is what the rules make, and what it shows of a configuration loads."""

from __future__ import annotations

import re

import yaml

from deployments.alert_reference import DOCUMENT, alert_reference
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == alert_reference(), "run make docs"
    for name in RULES:
        assert f"### {name}\n" in DOCUMENT.read_text()


def test_the_configuration_shown_loads() -> None:
    shown, *others = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for other in others:
        AlertSettings.model_validate(yaml.safe_load(other)["alerts"])
    settings = AlertSettings.model_validate(yaml.safe_load(shown)["alerts"])
    assert settings.rules_in_force()["chip_too_hot"].limit == 90
    assert [channel.step for channel in settings.channels] == [0, 1]
