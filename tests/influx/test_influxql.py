from __future__ import annotations

import re

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.influx.influxql import conditions, identifier, literal, raw_rows, window_aggregates

FAN = MEASUREMENTS["miner_fan"]


def test_statements_are_exactly_these() -> None:
    both = conditions(FAN, 0, 3600, {"site": "hall 1"})
    assert raw_rows(FAN, Tier.RAW, ["status", "speed_rpm"], both) == (
        'SELECT "status", "speed_rpm" FROM "miner_fan" WHERE time >= 0s AND time < 3600s AND "site" = \'hall 1\''
        ' GROUP BY "fan", "miner_id", "model", "site"'
    )
    assert raw_rows(FAN, Tier.DAILY, ["speed_rpm_mean"], "x").startswith(
        'SELECT "speed_rpm_mean" FROM "miner_fan_daily" WHERE x GROUP BY'
    )
    assert window_aggregates(FAN, {"speed_rpm": "mean", "status": "last"}, 300, ["site"], "x") == (
        'SELECT mean("speed_rpm") AS "speed_rpm_mean", last("status") AS "status_last" FROM "miner_fan" WHERE x'
        ' GROUP BY time(300s), "site" fill(none)'
    )


@pytest.mark.parametrize(
    ("value", "quoted"), [("a", "'a'"), ("it's", r"'it\'s'"), ("\\", r"'\\'"), ("\\'", r"'\\\''"), ("a\nb", r"'a\nb'")]
)
def test_literals_cannot_be_left(value, quoted) -> None:
    assert literal(value) == quoted


def test_identifiers_cannot_be_left() -> None:
    assert identifier('x" ; DROP DATABASE "y') == r'"x\" ; DROP DATABASE \"y"'
    assert identifier("a\\") == r'"a\\"'


def test_several_values_are_one_anchored_expression() -> None:
    said = conditions(FAN, 0, None, {"miner_id": ["a.b", "c/d", "e|f"]})
    expression = said.partition(" =~ ")[2]
    assert expression.startswith("/^(")
    assert expression.endswith(")$/")
    assert "a\\.b" in expression
    assert re.fullmatch(expression[1:-1].replace("\\/", "/"), "c/d")


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(ValueError, match="no tag 'minerid'"):
        conditions(FAN, 0, 1, {"minerid": "a"})
