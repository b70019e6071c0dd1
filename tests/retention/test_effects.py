"""Keys of data_retention_config.yaml whose effect crosses rooms; test_every_retention_key.py lists all of them."""

from __future__ import annotations

import asyncio
import contextlib
import socketserver
import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from deployments.settings import load_settings
from storage.archive.moving import ArchiveReport
from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.errors import ConfigurationError
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.retention_settings import BUCKET_KEYS, FILE_NAME, RetentionSettings
from storage.settings import StorageSettings
from tasks.alerts.settings import ChannelSettings
from tasks.archive import steps
from tests.influx.fake import ORG, TOKEN, FakeInflux

IN_INFLUX = [name for name, bucket in BUCKETS.items() if bucket.in_influx]


def nested(key: str, value: object) -> dict[str, Any]:
    """``a.b: value`` as a document."""
    for word in reversed(key.split(".")):
        value = {word: value}
    assert isinstance(value, dict)
    return value


SOURCES = {
    measurement.buckets[finer]
    for measurement in MEASUREMENTS.values()
    for finer, coarser in ((Tier.RAW, Tier.HOURLY), (Tier.HOURLY, Tier.DAILY))
    if coarser in measurement.buckets
}
"""Buckets that are rolled up."""


@pytest.mark.parametrize("bucket", sorted(BUCKET_KEYS))
def test_what_is_rolled_up_is_kept_until_its_last_hour_can_be(bucket: str) -> None:
    """A day's last hour is rolled up on the next day, of rows that are all kept then: so not of one day."""
    document = nested(BUCKET_KEYS[bucket], {"retention_days": 1})
    if bucket in SOURCES:
        with pytest.raises(ValidationError, match="greater than or equal to 2"):
            RetentionSettings.model_validate(document)
    else:
        assert RetentionSettings.model_validate(document).bucket_days()[bucket] == 1


@pytest.mark.parametrize("bucket", IN_INFLUX)
def test_the_days_of_a_class_are_those_of_its_bucket_and_of_no_other(bucket: str) -> None:
    settings = RetentionSettings.model_validate(nested(BUCKET_KEYS[bucket], {"retention_days": 77}))
    with FakeInflux() as fake:
        influx = InfluxSettings.model_validate({"url": fake.url, "org": ORG, "token": TOKEN})
        provision(influx)
        (changed,) = provision(influx, settings.bucket_days())
        assert fake.two.buckets[bucket]["retentionRules"][0]["everySeconds"] == 77 * 86_400
        assert str(changed).startswith(f"change {bucket} ")


@pytest.mark.parametrize("key", [*BUCKET_KEYS.values(), "system_data.logs.error_logs", "system_data.logs.info_logs"])
def test_a_form_of_files_that_does_not_exist_is_refused(key: str, tmp_path: Path) -> None:
    form = "text" if ".logs." in key else "parquet"
    words = key.split(".")
    lines = [f"{'  ' * depth}{word}:" for depth, word in enumerate(words)]
    indent = "  " * len(words)
    (tmp_path / FILE_NAME).write_text("\n".join([*lines, f"{indent}retention_days: 5", f"{indent}storage_format: csv"]))
    with pytest.raises(ConfigurationError) as raised:
        load_settings(tmp_path, {})
    (fault,) = raised.value.faults
    assert f"{key}.storage_format" in fault
    assert form in fault


@pytest.mark.parametrize(("tier", "other"), [("medium_resolution", "daily"), ("low_resolution", "hourly")])
def test_a_tier_has_its_own_interval_and_no_other(tier: str, other: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        f"raw_data: {{miner_telemetry: {{{tier}: {{retention_days: 9, aggregation_interval: {other}}}}}}}\n"
    )
    with pytest.raises(ConfigurationError, match=f"{tier}.aggregation_interval"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("said", "place"), [("/srv/mining", "/srv/mining/lake"), ("s3://bucket/mining", "s3://bucket/mining/lake")]
)
def test_the_lake_moves_where_the_configuration_says(said: str, place: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f"general: {{storage_base_path: '{said}'}}\n")
    assert load_settings(tmp_path, {}).host.lake_address == place


class Archiving:
    """Runs the archive's step with its parts faked: how many tables at once, how compared, who is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = self.most = 0
        self.compared: set[bool] = set()
        self.artifact = ""

        def archive_table(*_: Any, compare: bool, **__: Any) -> ArchiveReport:
            self.compared.add(compare)
            return ArchiveReport()

        async def as_task(_name: str, work: Any, *_: Any, **__: Any) -> ArchiveReport:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.running -= 1
            report: ArchiveReport = await work()
            return report

        async def artifact(text: str, **_: str) -> None:
            self.artifact = text

        monkeypatch.setattr("storage.archive.running.archive_table", archive_table)
        monkeypatch.setattr(steps, "as_task", as_task)
        monkeypatch.setattr(steps, "progress_artifact", lambda *_: contextlib.nullcontext())
        monkeypatch.setattr(steps, "acreate_markdown_artifact", artifact)

    async def run(self, root: Path, urls: Sequence[str] = (), **archiving: object) -> None:
        retention = RetentionSettings.model_validate({"archiving": archiving})
        channels = [ChannelSettings(name=f"c{number}", url=SecretStr(url)) for number, url in enumerate(urls)]
        storage = StorageSettings(data_directory=root)
        await steps.archive_step(storage, root / "archive", retention, host="h", channels=channels)


@pytest.mark.parametrize("jobs", [1, 3])
async def test_so_many_tables_are_archived_at_one_time(jobs: int, tmp_path: Path, monkeypatch) -> None:
    archiving = Archiving(monkeypatch)
    await archiving.run(tmp_path, parallel_jobs=jobs)
    assert archiving.most == jobs


@pytest.mark.parametrize("enabled", [True, False])
async def test_copies_are_compared_where_verification_is_on(enabled: bool, tmp_path: Path, monkeypatch) -> None:
    archiving = Archiving(monkeypatch)
    await archiving.run(tmp_path, verification_enabled=enabled)
    assert archiving.compared == {enabled}


class Mailbox(socketserver.StreamRequestHandler):
    """A server of SMTP (RFC 5321) that takes whatever comes."""

    recipients: ClassVar[list[str]] = []
    letters: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 mail.example\r\n")
        while line := self.rfile.readline().decode():
            command = line[:4].upper()
            if command == "RCPT":
                self.recipients.append(line.partition(":")[2].strip())
            if command == "DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.letters.append("".join(letter))
            self.wfile.write(b"221 bye\r\n" if command == "QUIT" else b"250 mail.example\r\n")


async def test_who_is_to_be_told_gets_a_mail_and_nobody_else(tmp_path: Path, monkeypatch) -> None:
    archiving = Archiving(monkeypatch)
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        threading.Thread(target=server.handle_request).start()
        mailbox = (
            f"mailto://127.0.0.1:{server.server_address[1]}/oncall@farm.example?from=l@farm.example&cc=b@farm.example"
        )
        await archiving.run(tmp_path, ["json://127.0.0.1", mailbox], notification_email="operator@farm.example")
    assert Mailbox.recipients == ["<operator@farm.example>"]
    assert "Subject: Lodeline archive: 0 files" in Mailbox.letters[0]
    assert "Told: operator@farm.example" in archiving.artifact


async def test_that_nobody_can_be_mailed_is_told(tmp_path: Path, monkeypatch, caplog) -> None:
    archiving = Archiving(monkeypatch)
    await archiving.run(tmp_path, ["json://127.0.0.1"], notification_email="operator@farm.example")
    said = "Not told: operator@farm.example, no channel of alerts.channels is a mailto:// or mailtos:// address"
    assert said in archiving.artifact
    assert said in caplog.text


def test_every_class_has_a_key() -> None:
    settings = RetentionSettings()
    assert set(BUCKET_KEYS) == set(BUCKETS)
    for name, key in BUCKET_KEYS.items():
        assert attrgetter(key)(settings).retention_days == BUCKETS[name].retention_days
