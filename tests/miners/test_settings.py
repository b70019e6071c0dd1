"""Section ``miners``: what is taken, and what an operator is told."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from storage.configuration import from_environment
from storage.errors import ConfigurationError
from tasks.collection_settings import CollectionSettings, load_collection_settings
from tasks.miners.drivers import DRIVERS
from tasks.miners.settings import FleetSettings, MinerSettings

MINER = "  - {id: miner_01, ip: 192.0.2.1, model: ANTMINER_S19"


def load(tmp_path: Path, text: str) -> CollectionSettings:
    file = tmp_path / "data_collection_config.yaml"
    file.write_text(text)
    environ = {"MINER_PASSWORD": "geheim"}
    return load_collection_settings(file, environ, from_environment(environ))


def test_the_documented_form(tmp_path: Path) -> None:
    text = """
miners:
  - id: miner_01
    ip: 192.0.2.1
    username: admin
    password: ${MINER_PASSWORD}
    model: ANTMINER_S19
    location: rack_1_position_1
    polling_interval_seconds: 300
"""
    (miner,) = load(tmp_path, text).miners
    found = miner.target()
    assert (found.miner.miner_id, found.miner.model, found.miner.site) == ("miner_01", "ANTMINER_S19", "")
    assert (found.address, found.base_url, found.username) == ("192.0.2.1", "http://192.0.2.1", "admin")
    assert found.password is not None
    assert found.password.get_secret_value() == "geheim"
    assert (miner.driver, miner.polling_interval_seconds, miner.configuration_interval_seconds) == (
        "vnish-rest",
        300,
        900,
    )
    assert "geheim" not in f"{miner!r}{found!r}"


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ("", "http://192.0.2.1"),
        (", port: 8080", "http://192.0.2.1:8080"),
        (", scheme: https", "https://192.0.2.1"),
        (", driver: cgminer-socket", "cgminer://192.0.2.1:4028"),
        (", driver: cgminer-socket, port: 4029", "cgminer://192.0.2.1:4029"),
    ],
)
def test_addresses(tmp_path: Path, keys: str, url: str) -> None:
    assert load(tmp_path, f"miners:\n{MINER}{keys}}}\n").miners[0].target().base_url == url


def test_an_address_of_version_6() -> None:
    assert MinerSettings(id="a", ip="2001:DB8::1", model="x").target().base_url == "http://[2001:db8::1]"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (", polling_interval: 60", "polling_interval_seconds"),
        (", polling_interval_seconds: 0", "at least 1"),
        (", polling_interval_seconds: 4000", "at most 3600"),
        (", polling_interval_seconds: often", "a whole number"),
        (", configuration_interval_seconds: 60", "at least 900"),
        (", driver: vnish", "one of vnish-rest, vnish-cgi, antminer-stock, antminer-legacy, cgminer-socket"),
        (", driver: vnish-cgi", "needs username and password"),
        (", driver: antminer-stock, username: root", "needs username and password"),
        (", driver: antminer-legacy", "HTTP Digest"),
        (", driver: cgminer-socket, scheme: https", "no https"),
        (", api_key: short", "exactly 32 characters"),
        (", port: 70000", "at most 65535"),
        (", scheme: ftp", "one of http, https"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, keys: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, f"miners:\n{MINER}{keys}}}\n")
    (fault,) = caught.value.faults
    assert words in fault
    assert ".yaml:2" in fault
    assert "short" not in fault


@pytest.mark.parametrize("ip", ["192.0.2.300", "miner.invalid", "224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_what_is_no_address_of_a_miner(tmp_path: Path, ip: str) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        load(tmp_path, f"miners:\n  - {{id: a, ip: {ip}, model: x}}\n")


def test_doubles_are_all_told_at_once(tmp_path: Path) -> None:
    text = f"miners:\n{MINER}}}\n{MINER}}}\n  - {{id: b, ip: 192.0.2.1, model: x}}\n"
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert len(caught.value.faults) == 3, "id and ip of the second, ip of the third"
    assert all("the same as miners[0]" in fault for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("one", "other", "double"),
    [
        ("", "port: 80", True),
        ("scheme: https", "scheme: https, port: 443", True),
        ("driver: cgminer-socket", "driver: cgminer-socket, port: 4028", True),
        ("", "port: 8080", False),
        ("", "driver: cgminer-socket, port: 4028", False),
    ],
)
def test_one_miner_is_not_read_as_two(tmp_path: Path, one: str, other: str, double: bool) -> None:
    text = "miners:\n" + "".join(
        f"  - {{id: {name}, ip: 192.0.2.1, model: x{', ' if more else ''}{more}}}\n"
        for name, more in (("a", one), ("b", other))
    )
    if not double:
        assert len(load(tmp_path, text).miners) == 2
        return
    with pytest.raises(ConfigurationError, match=r"yaml:3.*miner a is asked at 192\.0\.2\.1 too, on the same port"):
        load(tmp_path, text)


def test_the_drivers_that_may_be_named_are_those_there_are() -> None:
    assert set(get_args(MinerSettings.model_fields["driver"].annotation)) == set(DRIVERS)


def test_deadlines_are_nested() -> None:
    with pytest.raises(ValueError, match="connect_timeout_s <= request_deadline_s <= miner_deadline_s"):
        FleetSettings(request_deadline_s=6.0)
