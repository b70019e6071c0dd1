import pytest

from tasks import quantity


@pytest.mark.parametrize(
    ("value", "algorithm", "text"),
    [
        (95.234e12, "sha256d", "95.2 TH/s"),
        (99.9996e12, "sha256d", "100 TH/s"),
        (1_903.4e12, "sha256d", "1,903 TH/s"),
        (0.0, "sha256d", "0.00 TH/s"),
        (9.529e9, "scrypt", "9.53 GH/s"),
        (504.2e6, "scrypt", "0.50 GH/s"),
        (2.5e15, None, "2.50 PH/s"),
        (504.2e6, "unknown", "504 MH/s"),
        (12.0, None, "12.0 H/s"),
        (None, "sha256d", "–"),  # noqa: RUF001
    ],
)
def test_a_hashrate_has_the_unit_of_its_algorithm(value, algorithm, text):
    assert quantity.hashrate(value, algorithm) == text


def test_efficiency_of_scrypt_is_per_megahash():
    # 3,200 W at 9 GH/s = 3,200 / 9,000 MH/s = 0.356 J/MH
    assert quantity.efficiency(3200 / (9e9 / 1e12), "scrypt") == "0.356 J/MH"
    assert quantity.efficiency(31.58, "sha256d") == "31.6 J/TH"


@pytest.mark.parametrize(
    ("show", "arguments"),
    [
        (quantity.power, (None,)),
        (quantity.efficiency, (None, "sha256d")),
        (quantity.number, (None, "W")),
        (quantity.age, (None,)),
        (quantity.clock, (None,)),
    ],
)
def test_missing_is_a_dash_and_zero_is_not(show, arguments):
    assert show(*arguments) == quantity.DASH
    assert show(0, *arguments[1:]) != quantity.DASH


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (12.4, "12 s"), (119, "119 s"), (240, "4 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_age(seconds, text):
    assert quantity.age(seconds) == text
