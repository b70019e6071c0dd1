"""Names and identifiers in one form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.normalize.identifier import algorithm, mac_address, named, pool_url, text
from tasks.normalize.preset import Preset, read_preset


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("02:00:5E:10:00:01", "02005e100001"),
        ("02-00-5e-10-00-01", "02005e100001"),
        ("0200.5e10.0001", "02005e100001"),
        ("00:00:00:00:00:00", None),
        ("02:00:5e", None),
        ("", None),
        (None, None),
    ],
)
def test_mac_addresses(value: str | None, expected: str | None) -> None:
    assert mac_address(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sha256d", "sha256d"),
        ("SHA-256", "sha256d"),
        ("Scrypt", "scrypt"),
        ("x11", "unknown"),
        ("", None),
        (None, None),
    ],
)
def test_algorithms(value: str | None, expected: str | None) -> None:
    assert algorithm(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("stratum.pool.invalid:3333", "stratum.pool.invalid:3333"),
        ("stratum+tcp://stratum.pool.invalid:3333", "stratum+tcp://stratum.pool.invalid:3333"),
        ("stratum+tcp://me:secret@pool.invalid:3333", "stratum+tcp://pool.invalid:3333"),
        ("stratum+tcp://me:sec/ret@x@pool.invalid:3333/path", "stratum+tcp://pool.invalid:3333/path"),
        ("me:secret@pool.invalid:3333", "pool.invalid:3333"),
        ("DevFee", "DevFee"),
        ("", None),
        (None, None),
    ],
)
def test_pool_addresses_hold_no_password(value: str | None, expected: str | None) -> None:
    assert pool_url(value) == expected


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="@"), min_size=1))
def test_nothing_before_an_at_sign_is_kept(secret: str, host: str) -> None:
    found = pool_url(f"stratum+tcp://user:{secret}@{host}")
    assert found is None or found == text(f"stratum+tcp://{host}") or "@" not in found


@pytest.mark.parametrize(
    ("value", "expected"),
    [("N/A", None), (" n/a ", None), ("", None), ("SN1", "SN1"), (" SN1 ", "SN1"), ("unknown", None), (None, None)],
)
def test_names_that_are_none(value: str | None, expected: str | None) -> None:
    assert named(value) == expected


@given(st.text() | st.just("\ud800" * 3_000))
def test_text_can_be_stored(value: str) -> None:
    found = text(value)
    if found is not None:
        assert found.isprintable()
        assert 0 < len(found) <= 1_000
        found.encode()


@pytest.mark.parametrize(
    ("name", "pretty", "expected"),
    [
        # labels as UpstreamData/pyasic#296 has them, with our own numbers
        ("3250", "3250 watt ~ 9300 MH", Preset("3250 watt ~ 9300 MH", 3250, 9.3e9)),
        ("2800", "2800 watt ~ 188 TH", Preset("2800 watt ~ 188 TH", 2800, 188e12)),
        ("2800", None, Preset("2800", 2800, None)),
        (2800, None, Preset("2800", 2800, None)),  # UpstreamData/pyasic#423: not always text
        (2800, "2800 watt ~ 188 TH", Preset("2800 watt ~ 188 TH", 2800, 188e12)),
        (-1, None, Preset("-1", None, None)),
        (0, None, Preset("0", 0, None)),
        ("disabled", "Disabled", Preset("Disabled", None, None)),
        ("custom", None, Preset("custom", None, None)),
        ("eco", "1900 W ~ 78.5 TH/s", Preset("1900 W ~ 78.5 TH/s", 1900, 78.5e12)),
        (None, None, Preset(None, None, None)),
        ("", "", Preset(None, None, None)),
        ("99999999999", "x", Preset("x", None, None)),
        ("²", "x", Preset("x", None, None)),
    ],
)
def test_presets(name: str | int | None, pretty: str | None, expected: Preset) -> None:
    found = read_preset(name, pretty)
    assert (found.label, found.power_w) == (expected.label, expected.power_w)
    assert found.hashrate_hs == (None if expected.hashrate_hs is None else pytest.approx(expected.hashrate_hs))


@given(st.none() | st.text() | st.integers(), st.none() | st.text())
def test_no_label_raises(name: str | int | None, pretty: str | None) -> None:
    read_preset(name, pretty)
