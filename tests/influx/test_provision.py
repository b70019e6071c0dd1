"""Databases of the real 1.6, buckets of the fake 2.x (through influxdb-client), databases of the fake 3.x."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from storage.declaration import BUCKETS as DECLARED
from storage.errors import NeedsHuman, TryAgain
from storage.influx.provision import provision, wanted_buckets
from storage.influx.settings import InfluxSettings
from tests.influx.fake import ORG, TOKEN, FakeInflux
from tests.influx.server import InfluxServer

BUCKETS = {name: bucket for name, bucket in DECLARED.items() if bucket.in_influx}


def settings(fake: FakeInflux, **others: object) -> InfluxSettings:
    return InfluxSettings.model_validate(
        {"url": fake.url, "org": ORG, "token": SecretStr(TOKEN), "timeout_s": 5, **others}
    )


def policies(server: InfluxServer) -> dict[str, tuple[int, int]]:
    """Bucket to days of retention and of a shard, as the server has them."""
    found = {}
    for name in BUCKETS:
        (policy,) = server.rows(f'SHOW RETENTION POLICIES ON "{name}"', "")
        assert (policy["name"], policy["default"]) == ("autogen", True)
        hours = [int(policy[key].partition("h")[0]) for key in ("duration", "shardGroupDuration")]
        found[name] = (hours[0] // 24, hours[1] // 24)
    return found


@pytest.mark.influx
def test_databases_of_1(tmp_path) -> None:
    server = InfluxServer(tmp_path).start()
    try:
        given = InfluxSettings(url=server.url)
        assert [(one.bucket, one.done) for one in provision(given)] == [(name, "created") for name in BUCKETS]
        declared = {bucket.name: (bucket.retention_days, bucket.shard_days) for bucket in BUCKETS.values()}
        assert policies(server) == declared
        assert {one.done for one in provision(given)} == {"kept"}
        assert {one.done for one in provision(given, {"mining_hourly": 20}, only_missing=True)} == {"kept"}
        assert policies(server) == declared
        changed = [one for one in provision(given, {"mining_hourly": 20}) if one.done != "kept"]
        assert [(one.bucket, one.done, one.retention_days) for one in changed] == [("mining_hourly", "changed", 20)]
        assert policies(server) == {**declared, "mining_hourly": (20, 20)}
    finally:
        server.stop()


@pytest.mark.influx
def test_a_user_of_1_without_rights_is_told_so(tmp_path) -> None:
    server = InfluxServer(tmp_path, auth=True).start()
    try:
        server.query("CREATE USER admin WITH PASSWORD 'p' WITH ALL PRIVILEGES")
        server.query("CREATE USER reader WITH PASSWORD 'p'", u="admin", p="p")
        with pytest.raises(NeedsHuman, match=r"403|admin"):
            provision(InfluxSettings(url=server.url, username="reader", password=SecretStr("p")))
        assert provision(InfluxSettings(url=server.url, username="admin", password=SecretStr("p")))
    finally:
        server.stop()


def test_buckets_of_2() -> None:
    with FakeInflux("2.9.1") as fake:
        assert [(one.bucket, one.done) for one in provision(settings(fake))] == [(name, "created") for name in BUCKETS]
        for bucket in BUCKETS.values():
            (rule,) = fake.buckets[bucket.name]["retentionRules"]
            assert (rule["everySeconds"], rule["shardGroupDurationSeconds"]) == (
                bucket.retention_days * 86_400,
                bucket.shard_days * 86_400,
            )
        assert {one.done for one in provision(settings(fake))} == {"kept"}
        assert {one.done for one in provision(settings(fake), {"mining_raw": 7}, only_missing=True)} == {"kept"}
        changed = [one for one in provision(settings(fake), {"mining_raw": 7}) if one.done != "kept"]
        assert [(one.bucket, one.done) for one in changed] == [("mining_raw", "changed")]
        assert fake.buckets["mining_raw"]["retentionRules"][0]["everySeconds"] == 7 * 86_400
        assert all(request.params["org"] == ORG for request in fake.requests if request.params.get("name"))


def test_databases_of_3() -> None:
    with FakeInflux("3.10.1") as fake:
        assert {one.done for one in provision(settings(fake))} == {"created"}
        assert {one.done for one in provision(settings(fake), {"mining_raw": 9}, only_missing=True)} == {"kept"}
        assert {one.done for one in provision(settings(fake), {"mining_raw": 7})} == {"changed"}
        assert {name: made["retention_period"] for name, made in fake.buckets.items()} == {
            **{bucket.name: f"{bucket.retention_days}d" for bucket in BUCKETS.values()},
            "mining_raw": "7d",
        }


@pytest.mark.parametrize("version", ["2.9.1", "3.10.1"])
def test_a_wrong_token_is_told(version) -> None:
    with FakeInflux(version) as fake, pytest.raises(NeedsHuman, match="401") as raised:
        provision(settings(fake, token=SecretStr("a-wrong-one")))
    assert "a-wrong-one" not in str(raised.value)


def test_2_without_organisation_or_with_an_unknown_one() -> None:
    with FakeInflux("2.9.1") as fake:
        with pytest.raises(NeedsHuman, match="LODELINE_INFLUX__ORG"):
            provision(settings(fake, org=None))
        with pytest.raises(NeedsHuman, match="elsewhere"):
            provision(settings(fake, org="elsewhere"))


def test_a_server_that_goes_away() -> None:
    with FakeInflux("2.9.1") as fake:
        given = settings(fake)
    with pytest.raises(TryAgain):
        provision(given)


@pytest.mark.parametrize("wrong", [{"mining_row": 30}, {"mining_raw": 0}])
def test_retention_that_makes_no_sense(wrong) -> None:
    with pytest.raises(ValueError, match="at least 1 day for one of"):
        wanted_buckets(wrong)
