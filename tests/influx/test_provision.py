"""Databases of the real 1.6, buckets of the fake 2.x (through influxdb-client), databases of the fake 3.x."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from storage.declaration import BUCKETS as DECLARED
from storage.errors import NeedsHuman, TryAgain
from storage.frame import build_frame
from storage.influx.provision import provision
from storage.influx.provisioning.plan import ChangeKeeping, CreateBucket, CreateMapping, Drift, plan
from storage.influx.provisioning.server import Minted, duration_s, provisionable
from storage.influx.provisioning.state import ACCESSES, USUAL_ACCESSES, desired_state
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.spool.record import Batch, SpoolRecord
from tests.influx.fake import ORG, TOKEN, FakeInflux
from tests.influx.server import InfluxServer

BUCKETS = {name: bucket for name, bucket in DECLARED.items() if bucket.in_influx}
FIVE = {"mining_raw", "mining_hourly", "mining_operational", "mining_daily", "mining_financial"}


def settings(fake: FakeInflux, **others: object) -> InfluxSettings:
    return InfluxSettings.model_validate(
        {"url": fake.url, "org": ORG, "token": SecretStr(TOKEN), "timeout_s": 5, **others}
    )


def given(given_settings: InfluxSettings, *accesses: str, rotate: tuple[str, ...] = ()) -> dict[str, Minted]:
    """Provision with accesses, every secret kept."""
    desired = desired_state(given_settings, {}, accesses)
    made = {}
    with provisionable(given_settings) as server:
        for step in plan(desired, server.found(desired), rotate):
            minted = server.take(step)
            if minted is not None:
                made[minted.access] = minted
                server.retire(minted)
    return made


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
        made = provision(given)
        assert [step.bucket for step in made if isinstance(step, CreateBucket)] == list(BUCKETS)
        declared = {bucket.name: (bucket.retention_days, bucket.shard_days) for bucket in BUCKETS.values()}
        assert policies(server) == declared
        assert provision(given) == []
        assert provision(given, {"mining_hourly": 20}, only_missing=True) == []
        assert policies(server) == declared
        (changed,) = provision(given, {"mining_hourly": 20})
        assert isinstance(changed, ChangeKeeping)
        assert (changed.bucket, changed.shortens) == ("mining_hourly", True)
        assert policies(server) == {**declared, "mining_hourly": (20, 20)}
    finally:
        server.stop()


@pytest.mark.influx
def test_a_database_of_1_with_another_default_policy_is_changed_where_rows_go(tmp_path) -> None:
    server = InfluxServer(tmp_path).start()
    try:
        server.query('CREATE DATABASE "mining_raw" WITH DURATION 7d NAME "ours"')
        provision(InfluxSettings(url=server.url))
        (policy,) = server.rows('SHOW RETENTION POLICIES ON "mining_raw"', "")
        assert (policy["name"], policy["duration"], policy["default"]) == ("ours", "720h0m0s", True)
    finally:
        server.stop()


@pytest.mark.influx
def test_users_of_1_may_do_what_they_must_and_no_more(tmp_path) -> None:
    server = InfluxServer(tmp_path, auth=True).start()
    try:
        server.query("CREATE USER admin WITH PASSWORD 'p' WITH ALL PRIVILEGES")
        admin = InfluxSettings(url=server.url, username="admin", password=SecretStr("p"))
        made = given(admin, *ACCESSES)
        assert set(made) == set(ACCESSES)

        def answers(access: str, statement: str, database: str, method: str = "POST") -> bool:
            minted = made[access]
            said = server.query(
                statement, database, method=method, u=minted.user or "", p=minted.secret.get_secret_value()
            )
            return "error" not in said and all("error" not in result for result in said.get("results", ()))

        def writes(access: str, database: str) -> bool:
            minted = made[access]
            asked = {"db": database, "u": minted.user or "", "p": minted.secret.get_secret_value()}
            return httpx.post(f"{server.url}/write", params=asked, content="m v=1").status_code == 204

        table = {
            "writer": (False, True, False, False),
            "downsampler": (True, False, True, True),
            "grafana": (True, False, True, False),
            "host": (True, True, True, True),
        }
        for access, expected in table.items():
            assert (
                answers(access, "SHOW MEASUREMENTS", "mining_raw"),
                writes(access, "mining_raw"),
                answers(access, "SHOW MEASUREMENTS", "mining_hourly"),
                writes(access, "mining_daily"),
            ) == expected, access
            assert not answers(access, 'DROP DATABASE "mining_raw"', "")
        assert given(admin, *ACCESSES) == {}, "a second run makes nothing anew"

        server.query('REVOKE ALL ON "mining_raw" FROM lodeline_grafana', u="admin", p="p")
        server.query('GRANT WRITE ON "mining_daily" TO lodeline_grafana', u="admin", p="p")
        assert given(admin, *USUAL_ACCESSES) == {}, "rights are set right, passwords stay"
        assert answers("grafana", "SHOW MEASUREMENTS", "mining_raw")
        assert not writes("grafana", "mining_daily")

        old = made["grafana"]
        made |= given(admin, "grafana", rotate=("grafana",))
        assert made["grafana"].secret.get_secret_value() != old.secret.get_secret_value()
        assert answers("grafana", "SHOW MEASUREMENTS", "mining_raw")
        made["grafana"] = old
        assert not answers("grafana", "SHOW MEASUREMENTS", "mining_raw")
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
        assert [str(step).split()[1] for step in provision(settings(fake))] == [f"{name}," for name in BUCKETS]
        for bucket in BUCKETS.values():
            (rule,) = fake.two.buckets[bucket.name]["retentionRules"]
            assert (rule["everySeconds"], rule["shardGroupDurationSeconds"]) == (
                bucket.retention_days * 86_400,
                bucket.shard_days * 86_400,
            )
        assert fake.two.mappings == [], "2.9 finds buckets by their names"
        assert provision(settings(fake)) == []
        assert provision(settings(fake), {"mining_raw": 7}, only_missing=True) == []
        (changed,) = provision(settings(fake), {"mining_raw": 7})
        assert isinstance(changed, ChangeKeeping)
        assert changed.bucket == "mining_raw"
        assert fake.two.buckets["mining_raw"]["retentionRules"][0]["everySeconds"] == 7 * 86_400
        assert all(request.params["org"] == ORG for request in fake.requests if request.params.get("name"))


def test_a_bucket_of_2_that_keeps_everything_or_names_no_shards() -> None:
    with FakeInflux("2.9.1") as fake:
        fake.make("mining_raw", "mining_pool")
        fake.two.buckets["mining_pool"]["retentionRules"] = [{"type": "expire", "everySeconds": 365 * 86_400}]
        changes = {str(step) for step in provision(settings(fake)) if isinstance(step, ChangeKeeping)}
        assert changes == {
            "change mining_raw from for ever to 30 d, shards of 1 d: DELETES all data older than 30 d",
            "change mining_pool, shards of 30 d instead of 7 d, new ones",
        }


def test_mappings_of_2_only_where_a_name_does_not_do() -> None:
    with FakeInflux("2.3.0") as fake:
        steps = provision(settings(fake))
        assert {step.database for step in steps if isinstance(step, CreateMapping)} == set(BUCKETS)
        assert all(one["default"] and one["retention_policy"] == "autogen" for one in fake.two.mappings)
        assert provision(settings(fake)) == []
    with FakeInflux("2.9.1") as fake:
        foreign = settings(fake, bucket_names={"mining_raw": "farm/raw", "mining_hourly": "an_hour"})
        mapped = [step for step in provision(foreign) if isinstance(step, CreateMapping)]
        assert [(step.database, step.bucket) for step in mapped] == [("mining_raw", "farm/raw")]
        assert (fake.two.leads_to("mining_raw"), fake.two.leads_to("an_hour")) == ("farm/raw", "an_hour")
        assert "mining_hourly" not in fake.two.buckets
        assert provision(foreign) == []


def test_a_mapping_of_2_that_hides_a_bucket_is_told_and_left() -> None:
    with FakeInflux("2.9.1") as fake:
        fake.make("elsewhere", "mining_raw")
        fake.two.mappings.append(
            {"id": "x", "bucketID": fake.two.buckets["elsewhere"]["id"], "orgID": "0" * 16, "database": "mining_raw",
             "retention_policy": "autogen", "default": True, "virtual": False}
        )  # fmt: skip
        (drift,) = [step for step in provision(settings(fake)) if isinstance(step, Drift)]
        assert "database mining_raw is mapped to" in str(drift)
        assert len(fake.two.mappings) == 1


def test_tokens_of_2_may_do_what_they_must_and_no_more() -> None:
    with FakeInflux("2.9.1") as fake:
        made = given(settings(fake), *ACCESSES)
        table = {
            "writer": (False, True, False, False),
            "downsampler": (True, False, True, True),
            "grafana": (True, False, True, False),
            "host": (True, True, True, True),
        }
        for access, expected in table.items():
            token = made[access].secret.get_secret_value()
            asked = (
                ("read", "mining_raw"),
                ("write", "mining_raw"),
                ("read", "mining_hourly"),
                ("write", "mining_daily"),
            )
            assert tuple(fake.two.may(token, action, bucket) for action, bucket in asked) == expected, access
        assert given(settings(fake), *ACCESSES) == {}, "a second run makes nothing anew"
        assert len(fake.two.authorizations) == len(ACCESSES)

        anew = given(settings(fake), "writer", rotate=("writer",))["writer"]
        assert anew.secret.get_secret_value() in fake.two.tokens
        assert made["writer"].secret.get_secret_value() not in fake.two.tokens, "the one before gets in no more"
        assert len(fake.two.authorizations) == len(ACCESSES)

        with pytest.raises(NeedsHuman, match=r"401|unauthorized"):
            provision(settings(fake, token=anew.secret), {"mining_raw": 9})


def test_a_token_of_2_with_other_rights_is_told_and_left() -> None:
    with FakeInflux("2.9.1") as fake:
        given(settings(fake), "writer")
        (writer,) = fake.two.authorizations.values()
        writer["permissions"].append({"action": "read", "resource": {"type": "buckets", "orgID": "0" * 16}})
        desired = desired_state(settings(fake), {}, ["writer"])
        with provisionable(settings(fake)) as server:
            (drift,) = plan(desired, server.found(desired))
            assert isinstance(drift, Drift)
            assert "loses reading every bucket" in str(drift)
            assert "--rotate writer" in str(drift)
            assert server.take(drift) is None
        assert len(fake.two.authorizations) == 1


def test_a_token_of_2_that_was_switched_off_is_no_access() -> None:
    with FakeInflux("2.9.1") as fake:
        given(settings(fake), "writer")
        (writer,) = fake.two.authorizations.values()
        writer["status"] = "inactive"
        assert set(given(settings(fake), "writer")) == {"writer"}


def test_a_secret_that_cannot_be_kept_is_taken_back() -> None:
    with FakeInflux("2.9.1") as fake:
        desired = desired_state(settings(fake), {}, ["writer"])
        with provisionable(settings(fake)) as server:
            minted = [server.take(step) for step in plan(desired, server.found(desired))][-1]
            assert minted is not None
            server.withdraw(minted)
        assert fake.two.authorizations == {}
        assert set(given(settings(fake), "writer")) == {"writer"}


def test_databases_of_3() -> None:
    with FakeInflux("3.10.1") as fake:
        assert len(provision(settings(fake))) == len(BUCKETS)
        assert provision(settings(fake)) == []
        assert provision(settings(fake), {"mining_raw": 9}, only_missing=True) == []
        (changed,) = provision(settings(fake), {"mining_raw": 7})
        assert str(changed) == "change mining_raw from 30 d to 7 d: DELETES 23 d of data"
        assert fake.three.databases == {
            **{bucket.name: bucket.retention_days * 86_400 for bucket in BUCKETS.values()},
            "mining_raw": 7 * 86_400,
        }


def test_3_core_takes_five_databases() -> None:
    with FakeInflux("3.10.1", build="Core") as fake:
        with pytest.raises(NeedsHuman, match=r"takes 5 databases.*LODELINE_INFLUX__DATABASES=five"):
            provision(settings(fake))
        assert fake.three.databases == {}, "none is made where not all can be"
        in_five = settings(fake, databases="five")
        provision(in_five)
        days = {name: (seconds or 0) // 86_400 for name, seconds in fake.three.databases.items()}
        assert days == {
            "mining_raw": 30, "mining_hourly": 180, "mining_operational": 365, "mining_daily": 1095,
            "mining_financial": 1825,
        }  # fmt: skip
        assert provision(in_five) == []
        (longer,) = provision(in_five, {"mining_price": 500})
        assert str(longer) == "change mining_operational from 365 d to 500 d", "the longest of all in it counts"


def test_3_that_does_not_change_retention_says_so() -> None:
    with FakeInflux("3.10.1") as fake:
        fake.three.changes_retention = False
        provision(settings(fake))
        with pytest.raises(NeedsHuman, match=r"does not change the retention of mining_raw.*drop the database"):
            provision(settings(fake), {"mining_raw": 60})


def test_3_has_no_accesses_to_make() -> None:
    with FakeInflux("3.10.1") as fake:
        assert given(settings(fake), *USUAL_ACCESSES) == {}
        with pytest.raises(NeedsHuman, match="influxdb3 create token"):
            given(settings(fake), "writer", rotate=("writer",))


@pytest.mark.parametrize(("version", "names"), [("2.9.1", {"mining_raw": "farm/raw"}), ("3.10.1", {})])
def test_what_is_written_lands_where_it_is_provisioned(version, names) -> None:
    fan = build_frame("miner_fan", [1795478400], {"miner_id": ["a"], "speed_rpm": [1]})
    price = build_frame("market_data", [1795478400], {"coin_id": ["BTC"], "source": ["s"], "price_usd": [1.5]})
    with FakeInflux(version, build="Core") as fake:
        chosen = settings(fake, databases="five", bucket_names=names)
        provision(chosen)
        sink = InfluxSink(chosen, "host")
        receipt = sink.deliver([SpoolRecord("miners", 1, 0, Batch("b", 1795478400, "run", [fan, price]))])
        sink.close()
        assert receipt.stored == 2
        where = {key[0]: bucket for bucket, points in fake.points.items() for key in points}
        assert where["miner_fan"] == names.get("mining_raw", "mining_raw")
        assert where["market_data"] == "mining_operational"
        assert set(fake.points) <= {*(names.get(name, name) for name in FIVE)}


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
        desired_state(InfluxSettings(url="http://influx:8086"), wrong)


@pytest.mark.parametrize("wrong", [{"mining_row": "x"}, {"mining_raw": " "}, {"mining_raw": "a\nb"}])
def test_bucket_names_that_make_no_sense(wrong) -> None:
    with pytest.raises(ValidationError):
        InfluxSettings(url="http://influx:8086", bucket_names=wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("720h0m0s", 2_592_000), ("0s", 0), ("30s", 30), ("1h30m0s", 5400), ("10m0s", 600), ("730h33m36s", 2_630_016)],
)
def test_durations_in_the_form_of_go(text, seconds) -> None:
    assert duration_s(text) == seconds


def test_what_is_no_duration() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_s("30 days")
