"""When deployments start by themselves: by prefect.yaml, and by what the user's configuration says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice

from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from prefect.server.schemas.schedules import CronSchedule
from pydantic import TypeAdapter, ValidationError

from deployments.prefect.plan import Plan, read_plan
from storage.configuration import CronExpression
from tasks.abacus.settings import load_abacus_settings


def test_the_archive_runs_when_the_configuration_says():
    from storage.retention_settings import load_retention_settings

    said = {
        "LODELINE_RETENTION__ARCHIVING__SCHEDULE": "30 2 * * 6",
        "LODELINE_RETENTION__GENERAL__TIMEZONE": "Europe/Berlin",
    }
    plan = read_plan().scheduled(load_retention_settings(None, said, lambda name: None))
    (archive,) = (deployment for deployment in plan.deployments if deployment.name == "archive")
    (schedule,) = archive.schedules
    assert (schedule.slug, schedule.cron, schedule.timezone) == ("weekly", "30 2 * * 6", "Europe/Berlin")
    assert [other for other in plan.deployments if other.name != "archive"] == [
        other for other in read_plan().deployments if other.name != "archive"
    ]


def test_the_export_runs_when_the_configuration_says():
    from storage.retention_settings import RetentionSettings

    abacus = load_abacus_settings(None, {
        "LODELINE_ABACUS__GENERAL__PROJECT_ID": "mining", "LODELINE_ABACUS__GENERAL__API_KEY": "a-key",
        "LODELINE_ABACUS__BATCH_PROCESSING__SCHEDULE": "0 */6 * * *",
    }, lambda name: None)  # fmt: skip
    assert abacus is not None
    plan = read_plan().scheduled(RetentionSettings(), abacus)
    (export,) = (deployment for deployment in plan.deployments if deployment.name == "export-features")
    (schedule,) = export.schedules
    assert (schedule.slug, schedule.cron, schedule.timezone) == ("six-hourly", "0 */6 * * *", "UTC")
    assert _schedules(plan, "measure-export") == []  # there is no group to measure
    one = {"name": "market_data", "entity_id_column": "coin.id", "features": [{"name": "price_usd", "type": "FLOAT"}]}
    grouped = type(abacus).model_validate(abacus.model_dump() | {"feature_groups": [one]})
    assert _schedules(read_plan().scheduled(RetentionSettings(), grouped), "measure-export") == ["10,25,40,55 * * * *"]
    (stream,) = (deployment for deployment in plan.deployments if deployment.name == "stream-features")
    assert [schedule.cron for schedule in stream.schedules] == ["1-59/5 * * * *"]
    off = abacus.model_copy(update={"real_time": abacus.real_time.model_copy(update={"enabled": False})})
    (still,) = (d for d in read_plan().scheduled(RetentionSettings(), off).deployments if d.name == "stream-features")
    assert still.schedules == []
    one = {
        "name": "ahead", "deployment_id": "d", "feature_group": "market_data", "feature": "price_usd",
        "value_column": "price",
    }  # fmt: skip
    again = {"name": "again", "model_id": "m", "every_days": 30}
    asked = type(abacus).model_validate(
        abacus.model_dump()
        | {"predictions": [one], "retraining": [again], "drift_monitors": [{"feature_group": "market_data"}]}
    )
    assert _schedules(plan, "monitor-drift") == []
    assert _schedules(read_plan().scheduled(RetentionSettings(), asked), "monitor-drift") == ["13,28,43,58 * * * *"]
    (fetch,) = (
        d for d in read_plan().scheduled(RetentionSettings(), asked).deployments if d.name == "fetch-predictions"
    )
    assert [schedule.cron for schedule in fetch.schedules] == ["8,23,38,53 * * * *"]
    (train,) = (d for d in read_plan().scheduled(RetentionSettings(), asked).deployments if d.name == "retrain-models")
    assert [schedule.cron for schedule in train.schedules] == ["45 4 * * *"]


def test_each_export_of_a_series_has_its_schedule():
    from storage.retention_settings import RetentionSettings
    from tasks.exports.settings import ExportSettings

    exports = [
        ExportSettings(name="power", what="miner_telemetry", schedule="10 2 * * *", timezone="Europe/Berlin"),
        ExportSettings(name="months", what="series", window="month"),
    ]
    plan = read_plan().scheduled(RetentionSettings(), exports=exports)
    (found,) = (deployment for deployment in plan.deployments if deployment.name == "export-series")
    assert [(one.slug, one.cron, one.timezone, one.parameters) for one in found.schedules] == [
        ("power", "10 2 * * *", "Europe/Berlin", {"name": "power"}),
        ("months", "35 1 * * *", "UTC", {"name": "months"}),
    ]


def _schedules(plan: Plan, name: str) -> list[str]:
    (found,) = (deployment for deployment in plan.deployments if deployment.name == name)
    return [schedule.cron for schedule in found.schedules]


@given(
    st.sampled_from(["0", "5/15", "*/7", "1,31", "10-20"]),
    st.sampled_from(["*", "2", "*/6", "0-5", "3,23"]),
    st.sampled_from(["*", "1", "L", "*/2", "1-7", "15,L", "LW", "31", "*/10"]),
    st.sampled_from(["*", "JAN", "*/3", "5"]),
    st.sampled_from(["*", "0", "7", "mon-fri", "MON#2", "5L", "*/2", "1,3"]),
)
def test_what_the_configuration_takes_is_taken_by_prefect_for_the_same_days(
    minute: str, hour: str, day: str, month: str, weekday: str
) -> None:
    """What is due is reckoned by cronsim, and the runs are Prefect's: with other days one would wait for the other."""
    text = f"{minute} {hour} {day} {month} {weekday}"
    try:
        TypeAdapter(CronExpression).validate_python(text)
    except ValidationError:
        odd, both = {"LW", "5L", "31"}, "*" not in (day, weekday)
        assert odd & {day, weekday} or (both and {"L", "15,L", "*/2", "*/10", "MON#2"} & {day, weekday}), text
        return
    start = datetime(2026, 11, 29, tzinfo=UTC)
    ours = list(islice(CronSim(text, start - timedelta(seconds=1)), 4))
    assert asyncio.run(CronSchedule(cron=text, timezone="UTC").get_dates(4, start)) == ours


def test_no_two_schedules_start_in_the_same_minute():
    minutes = [
        minute
        for deployment in read_plan().deployments
        for schedule in deployment.schedules
        for minute in schedule.cron.split()[0].split(",")
    ]
    assert len(set(minutes)) == len(minutes)
