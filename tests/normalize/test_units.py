"""Units, each against a value worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.normalize.difficulty import difficulty
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.hashrate import hashrate_factor, hashrate_hs, unit_is_suspect, written_hashrate_hs
from tasks.normalize.number import count, finite, number
from tasks.normalize.temperature import celsius, celsius_or_milli

anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers())


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("H/s", 1), ("kH/s", 1e3), ("KH/s", 1e3), ("MH/s", 1e6), ("GH/s", 1e9), ("TH/s", 1e12), ("PH/s", 1e15),
        ("EH/s", 1e18), ("gh/s", 1e9), ("TH", 1e12), ("Mh/s", 1e6), (" GH/s ", 1e9),
        ("N/A", None), ("", None), (None, None), ("GHS", None), ("G", None), ("MG/s", None), ("/s", None),
        ("GGH/s", None), ("sol/s", None), ("watt", None),
    ],
)  # fmt: skip
def test_hashrate_units(unit: str | None, factor: float | None) -> None:
    assert hashrate_factor(unit) == factor


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        # L3+, L7 and S19 say these numbers in fields that are all called GHS (bitmaintech/bmminer#11)
        (504.2, "MH/s", 504.2e6),
        (9529.4, "MH/s", 9.5294e9),
        (95_000.0, "GH/s", 95e12),
        (173_870.94, "GH/s", 1.7387094e14),
        (0.0, "TH/s", 0.0),
        (None, "TH/s", None),
        (95.0, "N/A", None),
        (-1.0, "TH/s", -1e12),  # judged, not hidden
        (math.nan, "TH/s", None),
        (math.inf, "TH/s", None),
        (1e300, "EH/s", None),
    ],
)
def test_hashrates(value: float | None, unit: str, expected: float | None) -> None:
    assert hashrate_hs(value, hashrate_factor(unit)) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("95.3 TH/s", 95.3e12),
        ("1,250.5 GH/s", 1.2505e12),
        ("504MH", 504e6),
        ("0.93 EH/s", 9.3e17),
        (" 12 h/s ", 12.0),
        (".5 PH/s", 5e14),
        ("95.3", None),  # of what?
        ("-1 TH/s", None),
        ("1,25 TH/s", None),  # a decimal comma, or a digit too few
        ("95 sol/s", None),
        ("TH/s", None),
        ("", None),
        (None, None),
    ],
)
def test_hashrates_that_carry_their_unit(text: str | None, expected: float | None) -> None:
    assert written_hashrate_hs(text) == (None if expected is None else pytest.approx(expected))


@given(st.text() | st.from_regex(r"[0-9.,e+-]{1,80} ?[kMGTPE]H/s"))
def test_no_written_hashrate_raises(text: str) -> None:
    found = written_hashrate_hs(text)
    assert found is None or 0 <= found < math.inf


@given(st.floats(0, 1e6), st.sampled_from("kMGTPE"))
def test_a_prefix_is_a_thousand_of_the_one_below(value: float, prefix: str) -> None:
    below = {"k": "", "M": "k", "G": "M", "T": "G", "P": "T", "E": "P"}[prefix]
    assert hashrate_hs(value, hashrate_factor(f"{prefix}H/s")) == pytest.approx(
        hashrate_hs(value * 1000, hashrate_factor(f"{below}H/s"))
    )


@pytest.mark.parametrize(
    ("hashrate", "reference", "suspect"),
    [
        (196.5e12, 188e12, False),
        (196.5e9, 188e12, True),
        (196.5e15, 188e12, True),
        (20e12, 188e12, False),  # a throttled miner is no wrong unit
        (0.0, 188e12, False),
        (None, 188e12, False),
        (196.5e12, None, False),
    ],
)
def test_a_unit_a_thousand_off_is_seen(hashrate: float | None, reference: float | None, suspect: bool) -> None:
    assert unit_is_suspect(hashrate, reference) is suspect


@pytest.mark.parametrize(
    ("power", "hashrate", "expected"),
    [
        (2583, 173.87094e12, 14.855846),
        (3425, 9.5e9, 360_526.3),  # a Scrypt machine; J/MH is a millionth of it: 0.3605
        (3250, 0.0, None),
        (None, 1e12, None),
        (3250, None, None),
        (0, 1e12, 0.0),
    ],
)
def test_efficiency(power: int | None, hashrate: float | None, expected: float | None) -> None:
    assert efficiency_j_th(power, hashrate) == (None if expected is None else pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (65, 65),
        (0.0, 0.0),
        (-20.5, -20.5),
        (200, 200),
        (255, None),
        (-128, None),
        (65_535, None),
        (None, None),
        (math.nan, None),
    ],
)
def test_temperatures(value: float | None, expected: float | None) -> None:
    assert celsius(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (47_125, 47.125),  # ElphaPex, thousandths
        (47.5, 47.5),
        (0.0, 0.0),
        (-5.0, -5.0),
        (255, None),
        (65_535, None),
        (500, 500),  # judged, not hidden
        (900_000, 900),
        (None, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_temperatures_in_degrees_or_thousandths(value: float | None, expected: float | None) -> None:
    assert celsius_or_milli(value) == expected


@pytest.mark.parametrize(
    ("label", "exact", "expected"),
    [
        ("262K", 262_144.0, 262_144.0),
        ("262K", None, 262_000.0),
        ("262K", 131_072.0, 262_000.0),  # the pool asks for more than the last share had
        ("16.4K", 16_384.0, 16_384.0),
        ("1.05M", 1_048_576.0, 1_048_576.0),
        ("512", None, 512.0),
        ("4.2g", None, 4.2e9),
        ("", 262_144.0, None),
        (None, 262_144.0, None),
        ("0", None, None),
        ("high", None, None),
        ("262K", math.nan, 262_000.0),
    ],
)
def test_difficulties(label: str | None, exact: float | None, expected: float | None) -> None:
    assert difficulty(label, exact) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5.0), (5.5, 5.5), ("  5.0000", 5.0), ("15679.6", 15_679.6), ("-1e3", -1000.0),
        ("", None), ("N/A", None), ("nan", None), ("inf", None), (math.inf, None), (None, None), (True, None),
        ([1], None), (10**400, None), ("1_0", 10.0),
    ],
)  # fmt: skip
def test_numbers(value: object, expected: float | None) -> None:
    assert number(value) == expected


@given(anything)
def test_a_number_is_finite_or_none(value: object) -> None:
    found = number(value)
    assert found is None or math.isfinite(found)


@given(st.none() | st.floats())
def test_counts_are_storable(value: float | None) -> None:
    found = count(value)
    assert found is None or -(2**63) <= found < 2**63
    assert finite(value) is None or math.isfinite(finite(value) or 0.0)


@pytest.mark.parametrize(("value", "expected"), [(5.4, 5), (5.5, 6), (-3.0, -3), (2.0**60, None), (math.nan, None)])
def test_counts(value: float, expected: int | None) -> None:
    assert count(value) == expected
