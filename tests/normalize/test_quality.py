"""The score and its words: all are declared, and what is declared is documented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.quality_reference import DOCUMENT, quality_reference
from storage.records.market import MarketData, NetworkData
from tasks.market.network.judging import RULES as NETWORK_RULES
from tasks.market.network.judging import judge as judge_network
from tasks.market.network.judging import sample_of
from tasks.market.reconciliation import RULES as PRICE_RULES
from tasks.market.reconciliation import flags_of, with_btc
from tasks.market.reconciliation import judge as judge_price
from tasks.normalize.quality import EXPECTED, RULES, UNNAMED_WEIGHT, Rule, rule_of, score
from tests.normalize.records import sound

ROOT = Path(__file__).parents[2]
_ADDED = re.compile(r"""flags?\w*\.add\(f?["']([^"']+)["']\)|["'](duplicate_\w+)["'], flags""")


@pytest.mark.parametrize("rules", [RULES, PRICE_RULES, NETWORK_RULES], ids=["miners", "prices", "networks"])
def test_the_reference_is_fresh_and_has_every_word(rules: Sequence[Rule]) -> None:
    document = DOCUMENT.read_text()
    assert document == quality_reference(), "run python -m deployments.quality_reference"
    for rule in rules:
        assert f"| `{rule.word}` | {rule.meaning} | {rule.value} | {rule.weight:g} |" in document


def test_every_word_that_code_puts_on_a_record_is_declared() -> None:
    sources = [*(ROOT / "tasks" / "miners").rglob("*.py"), *(ROOT / "tasks" / "normalize").rglob("*.py")]
    words = {word for file in sources for found in _ADDED.findall(file.read_text()) for word in found if word}
    assert {"repaired", "unit_suspect", "duplicate_board", "counter_reset"} <= words | {"counter_reset"}
    undeclared = {word for word in words if rule_of(re.sub(r"\{[^}]*\}", "_x", word)) is None}
    assert undeclared == set(), "add a rule to tasks/normalize/quality.py"


def test_every_word_on_a_price_or_a_network_is_declared() -> None:
    """Two providers that disagree, one of them old, thin and without anything else; a network against all others."""
    other = MarketData(time=10_000, source="b", coin_id="litecoin", price_usd=1.0)
    old = MarketData(time=10_000, source="a", coin_id="litecoin", age_s=9e9, volume_24h_usd=1.0)
    priced = MarketData(time=10_000, source="a", coin_id="litecoin", price_usd=2.0)
    words = flags_of(judge_price(old, [other])[0]) | flags_of(judge_price(priced, [other])[0])
    in_btc = with_btc([MarketData(time=1, source="a", coin_id="bitcoin", price_usd=2.0)])
    assert words | flags_of(in_btc[0]) == {rule.word for rule in PRICE_RULES}
    week = [
        sample_of(NetworkData(time=hour * 3600, source=source, coin_id="litecoin", network_difficulty=1.0))
        for hour in range(9)
        for source in ("a", "b")
    ]
    odd = NetworkData(time=9 * 3600, source="a", coin_id="litecoin", network_difficulty=50.0)
    flags = judge_network(odd, week).quality_flags or ""
    assert {f"{flag.partition(':')[0]}:*" for flag in flags.split(",")} == {rule.word for rule in NETWORK_RULES}


def test_words_are_declared_once_and_weights_are_shares() -> None:
    for rules in (RULES, PRICE_RULES, NETWORK_RULES):
        assert len({rule.word for rule in rules}) == len(rules)
        assert all(0 < rule.weight <= 1 for rule in rules)
    assert sum(EXPECTED.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("flags", "over", "expected"),
    [
        ([], {}, 1.0),
        (["repaired"], {}, 0.9),
        (["impossible:power_w"], {"power_w": None}, 0.8 * 0.9),
        (["impossible:voltage_v", "impossible:fans.speed_rpm"], {}, 0.8),  # one word, however many fields
        (["impossible:voltage_v", "repaired"], {}, 0.8 * 0.9),
        (["duplicate"], {}, 1.0),
        (["of_another_version"], {}, UNNAMED_WEIGHT),
        (["unit_suspect"], {"hashrate_hs": None}, 0.5 * 0.6),
        ([], {"hashrate_hs": None, "power_w": None, "state": "paused"}, 1.0),  # need not say more
        ([], dict.fromkeys(EXPECTED), 0.0),
        ([], {"power_w": None, "cannot_tell": frozenset({"power_w"})}, 1.0),
        ([], {"power_w": None, "uptime_s": None, "cannot_tell": frozenset({"power_w"})}, 0.8 / 0.9),
        ([], {"cannot_tell": frozenset({"power_w"})}, 1.0),  # and yet it did
        ([], {**dict.fromkeys(EXPECTED), "cannot_tell": frozenset(EXPECTED)}, 1.0),
        ([], {"reachable": False, "state": "unreachable"}, 0.0),
    ],
)
def test_scores(flags: list[str], over: dict[str, Any], expected: float) -> None:
    assert score(sound(**over), flags) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("impossible:boards.chip_temp_c", "impossible:*"),
        ("impossible:", None),
        ("conflicting:hashrate_hs", "conflicting:hashrate_hs"),
        ("no_perf_summary", "no_*"),
        ("stale", "stale"),
        ("stales", None),
        ("", None),
    ],
)
def test_which_rule_a_flag_falls_under(flag: str, word: str | None) -> None:
    rule = rule_of(flag)
    assert (rule.word if rule else None) == word


@given(st.lists(st.sampled_from([rule.word.replace("*", "x") for rule in RULES] + ["unheard"])))
def test_more_flags_never_raise_the_score(flags: list[str]) -> None:
    scores = [score(sound(), flags[:count]) for count in range(len(flags) + 1)]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] <= 1
