"""What right files become: templates, substitution, secrets, variables over files, folders, defaults."""

from pathlib import Path

import pytest

from deployments.settings import Settings, load_settings
from storage.configuration import from_environment, from_folder, in_turn
from storage.declaration import BUCKETS
from storage.errors import ConfigurationError
from storage.retention_settings import BUCKET_KEYS, RetentionSettings
from tasks.market.settings import CoinGeckoSettings, CoinMarketCapSettings
from tasks.pools.prohashing.settings import ProhashingSettings

COMPLETE = Path(__file__).parent / "complete"
TEMPLATES = Path(__file__).parents[3] / "shared" / "config-templates"
SECRETS = {
    "ABACUS_API_KEY": "abacus-key",
    "MINER_PASSWORD": "0815",
    "PROHASHING_API_KEY": "cafe",
    "CMC_API_KEY": "cmc-key",
    "SITE": "north",
    "INTERVAL": "300",
}


@pytest.fixture(scope="module")
def complete() -> Settings:
    return load_settings(COMPLETE, SECRETS)


def test_the_missions_templates_load_as_they_stand() -> None:
    if not TEMPLATES.is_dir():
        pytest.skip(f"{TEMPLATES} is not here; the project's own files are tested in any case")
    settings = load_settings(TEMPLATES, SECRETS)
    first, second = settings.collection.miners
    assert (first.id, first.ip, second.location) == ("miner_01", "192.168.1.101", "rack_1_position_2")
    assert first.password is not None
    assert first.password.get_secret_value() == "0815"
    assert settings.abacus is not None
    assert [group.name for group in settings.abacus.feature_groups] == [
        "miner_telemetry",
        "pool_performance",
        "market_data",
    ]
    assert settings.retention.archiving.notification_email == "admin@example.com"
    assert settings.host.lake_directory == Path("/data/crypto_mining_monitor/lake")


def test_what_the_templates_say_is_what_the_defaults_say() -> None:
    if not TEMPLATES.is_dir():
        pytest.skip(f"{TEMPLATES} is not here")
    settings = load_settings(TEMPLATES, SECRETS)
    defaults = RetentionSettings()
    said, meant = settings.retention.bucket_tables(), defaults.bucket_tables()
    for bucket, table in said.items():
        # The one difference: snappy takes a quarter more bytes than the default (storage/lake/layout.py).
        assert table == meant[bucket].model_copy(update={"compression": table.compression}), bucket
    assert settings.retention.system_data.logs == defaults.system_data.logs
    market, pool = settings.collection.market_data, settings.collection.prohashing
    assert market.coingecko == CoinGeckoSettings()
    assert market.coinmarketcap == CoinMarketCapSettings(api_key="cmc-key")
    assert pool == ProhashingSettings(api_key="cafe")


def test_values_are_put_in_anywhere_in_a_text(complete: Settings) -> None:
    first, second, third = complete.collection.miners
    assert third.id == "north_03"
    assert third.password is not None
    assert third.password.get_secret_value() == "pre-0815-${literal}"
    assert first.password is not None
    assert first.password.get_secret_value() == "0815", "a value of digits stays a text"
    assert (second.id, second.ip, second.username, second.polling_interval_seconds) == ("l7_02", "10.0.0.2", "root", 60)
    assert complete.collection.market_data.coingecko is not None
    assert complete.collection.market_data.coingecko.polling_intervals.simple_price == 300
    assert complete.collection.prohashing is not None
    assert complete.collection.prohashing.wamp.subscriptions[1] == "miner_update_diffs_{api_key}"


def test_no_secret_is_in_the_picture_of_settings(complete: Settings) -> None:
    shown = f"{complete!r} {complete.summary()}"
    assert "0815" not in shown
    assert "abacus-key" not in shown


def test_every_bucket_has_its_days_from_the_file(complete: Settings) -> None:
    days = complete.retention.bucket_days()
    assert set(days) == set(BUCKETS) == set(BUCKET_KEYS)
    changed = {"mining_raw": 14, "mining_anomaly": 45}
    assert days == {name: bucket.retention_days for name, bucket in BUCKETS.items()} | changed


def test_nothing_at_all_is_a_configuration(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        settings = load_settings(folder, {})
        assert settings.collection.miners == ()
        assert settings.collection.prohashing is None
        assert settings.abacus is None
        assert settings.retention.bucket_days() == {name: bucket.retention_days for name, bucket in BUCKETS.items()}
        assert settings.host.influx is None
        assert settings.host.data_directory == Path("var/lodeline").absolute()


def test_an_empty_file_has_only_defaults(tmp_path: Path) -> None:
    (tmp_path / "data_collection_config.yaml").write_text("# nothing yet\n")
    assert load_settings(tmp_path, {}).collection.miners == ()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(tmp_path / "etc", {})


@pytest.mark.parametrize(
    ("environ", "data", "lake"),
    [
        ({}, "/srv/lodeline", "/lake/lodeline/lake"),
        ({"LODELINE_DATA_DIRECTORY": "/fast"}, "/fast", "/fast/lake"),
        ({"LODELINE_LAKE__DIRECTORY": "/big/lake"}, "/srv/lodeline", "/big/lake"),
        ({"LODELINE_DATA_DIRECTORY": "/fast", "LODELINE_LAKE__DIRECTORY": "/big/lake"}, "/fast", "/big/lake"),
    ],
)
def test_folders_come_from_variables_before_files(environ: dict[str, str], data: str, lake: str) -> None:
    host = load_settings(COMPLETE, {**SECRETS, **environ}).host
    assert (host.data_directory, host.lake_directory) == (Path(data), Path(lake))
    assert host.spool_directory == Path(data) / "spool"


def test_variables_go_over_files() -> None:
    over = {
        "LODELINE_COLLECTION__GENERAL__LOG_LEVEL": "ERROR",
        "LODELINE_COLLECTION__MARKET_DATA__COINGECKO__COINS": '["dogecoin"]',
        "LODELINE_RETENTION__RAW_DATA__MINER_TELEMETRY__HIGH_RESOLUTION__RETENTION_DAYS": "3",
        "LODELINE_ABACUS__REAL_TIME__ENABLED": "false",
        "LODELINE_INFLUX__URL": "http://influx:8086/",
        "LODELINE_INFLUX__TOKEN": "12345678",
        "LODELINE_SPOOL__CAP_BYTES": "100000000",
    }
    settings = load_settings(COMPLETE, {**SECRETS, **over})
    assert settings.collection.general.log_level == "ERROR"
    assert settings.collection.general.environment == "staging", "what no variable names stays as the file has it"
    assert settings.collection.market_data.coingecko is not None
    assert settings.collection.market_data.coingecko.coins == ("dogecoin",)
    assert settings.retention.bucket_days()["mining_raw"] == 3
    assert settings.abacus is not None
    assert not settings.abacus.real_time.enabled
    assert settings.host.influx is not None
    assert settings.host.influx.url == "http://influx:8086"
    assert settings.host.influx.token is not None
    assert settings.host.influx.token.get_secret_value() == "12345678"
    assert settings.host.spool.cap_bytes == 100_000_000


def test_secrets_come_from_a_folder_too(tmp_path: Path) -> None:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "LODELINE_INFLUX__TOKEN").write_text("of the folder")
    environ = {"LODELINE_SECRETS_DIR": str(tmp_path), "LODELINE_INFLUX__URL": "http://influx:8086", "SITE": "south"}
    settings = load_settings(COMPLETE, environ)
    assert settings.abacus is not None
    assert settings.abacus.general.api_key.get_secret_value() == "abacus-key"
    assert settings.collection.miners[2].site == "south", "the environment comes before the folder"
    assert settings.host.influx is not None
    assert settings.host.influx.token is not None
    assert settings.host.influx.token.get_secret_value() == "of the folder"


def test_a_further_source_is_asked_last() -> None:
    asked: list[str] = []

    def block(name: str) -> str | None:
        asked.append(name)
        return {"MINER_PASSWORD": "of the block"}.get(name)

    environ = {name: value for name, value in SECRETS.items() if name != "MINER_PASSWORD"}
    settings = load_settings(COMPLETE, environ, block)
    password = settings.collection.miners[0].password
    assert password is not None
    assert password.get_secret_value() == "of the block"
    assert "ABACUS_API_KEY" not in asked
    assert asked.count("MINER_PASSWORD") == 1, "a server is asked once for a name"


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "MINER_PASSWORD").write_bytes(b"\xff\xfe secret")
    environ = {**SECRETS, "LODELINE_SECRETS_DIR": str(tmp_path)}
    del environ["MINER_PASSWORD"]
    with pytest.raises(ConfigurationError) as caught:
        load_settings(COMPLETE, environ)
    (fault,) = caught.value.faults
    assert "miners[0].password" in fault
    assert "MINER_PASSWORD: the secret cannot be read: it is not UTF-8 text" in fault


def test_a_folder_of_secrets_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LODELINE_SECRETS_DIR"):
        load_settings(None, {"LODELINE_SECRETS_DIR": str(tmp_path / "none")})


def test_resolvers_in_turn(tmp_path: Path) -> None:
    (tmp_path / "B").write_text("folder")
    resolve = in_turn(from_environment({"A": "environment"}), from_folder(tmp_path))
    assert [resolve(name) for name in "ABC"] == ["environment", "folder", None]
