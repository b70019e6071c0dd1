"""An export to the fake by the real package: what arrives, and what goes wrong. Kills: test_killed.py."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from deployments.farm.abacus.call import CALLS
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.erasure.entity import Entity
from storage.erasure.files import erase_from_exports
from storage.errors import NeedsHuman, TryAgain
from tasks.abacus.journal import JournalFile
from tests.abacus.conftest import KEY, T0, Host, keys_of, view_rows
from tests.abacus.stepped import Killed, Killer

ROWS = view_rows(300)


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


EXPECTED = sorted((f"miner_{at % 3:02d}|{_utc(T0 + at // 3 * 3600).isoformat()}Z", _utc(T0)) for at in range(300))


@pytest.fixture
def host(fake, tmp_path):
    return Host(fake, tmp_path, ROWS)


@pytest.mark.parametrize("file_format", ["PARQUET", "CSV", "JSON"])
def test_rows_arrive(host, fake, file_format):
    host.file_format = file_format
    report = host.run()
    assert (report.rows, report.batches, report.rejected, report.watermark) == (300, 1, 0, T0)
    assert report.parts > 2
    row = next(row for row in fake.rows("miner_telemetry") if row["record_id"] == "miner_01|2025-10-09T10:00:00Z")
    # by hand: row 4 of the source; 1e14 + 4e9 H/s are 100.004 TH/s
    assert {name: str(value) for name, value in row.items() if name not in ("timestamp", "known_at")} == {
        "record_id": "miner_01|2025-10-09T10:00:00Z", "miner_id": "miner_01", "hashrate_th_s": "100.004",
        "power_consumption_w": str(3004 if file_format == "CSV" else 3004.0), "accepted_shares": "40", "model": "S19",
    }  # fmt: skip
    assert str(row["timestamp"])[:16].replace(" ", "T") == "2025-10-09T10:00"
    assert len(fake.rows("miner_telemetry_batches")) == 300


def test_only_what_is_new_goes_and_a_correction_goes_over(host, fake):
    host.run()
    correction = ROWS.slice(0, 1).set_column(2, "known", pa.array([T0 + 50])).set_column(
        ROWS.schema.get_field_index("power_w"), "power_w", pa.array([1.0])
    )  # fmt: skip
    host.rows = pa.concat_tables([ROWS, view_rows(6, known=T0 + 60, start=T0 + 360_000), correction])
    report = host.run(until=T0 + 100)
    assert (report.rows, report.watermark) == (7, T0 + 100)
    assert len(fake.rows("miner_telemetry_batches")) == 307
    merged = {row["record_id"]: row for row in fake.rows("miner_telemetry")}
    assert len(merged) == 306
    assert merged["miner_00|2025-10-09T09:00:00Z"]["power_consumption_w"] == 1.0
    assert host.run(until=T0 + 100).batches == 0
    assert host.run(until=T0 + 500).watermark == T0 + 500  # nothing became known: no upload
    assert fake.count("createDatasetVersionFromUpload") == 2


FAULTS = [
    pytest.param(Fault("error_500", "uploadPart", part=2), id="part 500"),
    *(pytest.param(Fault("cut", "uploadPart", part=2, at=at), id=f"part cut at {at}") for at in (0, 0.5, 0.999, 1)),
    *(pytest.param(Fault("torn", "uploadPart", part=2, at=at), id=f"ack torn at {at}") for at in (0, 0.99)),
    pytest.param(Fault("lost", "uploadPart", part=1), id="part answer lost"),
    pytest.param(Fault("rate_limited", "uploadPart", part=3), id="part 429"),
    pytest.param(Fault("html", "uploadPart", part=1), id="part html"),
    pytest.param(Fault("wrong_md5", "uploadPart", part=2, times=2), id="part md5"),
    pytest.param(Fault("html", "describeUpload"), id="html"),
    pytest.param(Fault("rate_limited", "markUploadComplete"), id="429"),
    pytest.param(Fault("lost", "markUploadComplete"), id="mark lost"),
    pytest.param(Fault("lost", "createDatasetVersionFromUpload"), id="open lost"),
    pytest.param(Fault("lost", "createDatasetFromUpload"), id="dataset lost"),
    pytest.param(Fault("lost", "createMergeFeatureGroup"), id="group lost"),
    pytest.param(Fault("lost", "createFeatureGroupVersion"), id="snapshot lost"),
    pytest.param(Fault("join_failed"), id="join failed"),
    pytest.param(Fault("import_failed"), id="import failed"),
    pytest.param(Fault("rows_short", times=2), id="rows short"),
    pytest.param(Fault("error_500", times=2), id="any 500"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_overcome_in_one_run(host, fake, fault):
    fault = dataclasses.replace(fault)  # the parameter is used once only
    fake.faults.add(fault)
    report = host.run()
    assert fault.times == 0, "the fault did not come"
    assert (report.rows, report.watermark) == (300, T0)
    assert keys_of(fake) == EXPECTED


def test_a_slow_answer_is_waited_for_until_its_time_is_over(fake, tmp_path):
    host = Host(fake, tmp_path, ROWS, timeout_seconds=1, max_retries=20)
    fake.faults.add(Fault("slow", "uploadPart", part=1, seconds=1.5))
    assert host.run().rows == 300
    assert keys_of(fake) == EXPECTED
    assert ("uploadPart", "slow") in fake.faults.taken
    assert host.slept > 0  # given up and sent again


@pytest.mark.parametrize("kind", ["outage", "html", "error_500", "rate_limited"])
def test_an_outage_is_said_and_caught_up_with(host, fake, kind):
    fake.faults.add(Fault(kind, "uploadPart", part=3, times=1_000))
    with pytest.raises(TryAgain, match=r"part 3 of upload_\d+: Abacus.AI: POST /api/uploadPart"):
        host.run()
    assert not fake.rows("miner_telemetry_batches")
    fake.faults.clear()
    fake.asked.clear()
    assert host.run().rows == 300
    assert keys_of(fake) == EXPECTED
    assert fake.count("createDatasetVersionFromUpload") == 0  # it went on with the upload that was open
    assert min(int(asked.sent.values["partNumber"]) for asked in fake.asked if asked.method == "uploadPart") == 3


@pytest.mark.parametrize("point", [3, 25, 40])
def test_a_key_that_expires_amid_an_export_is_told_and_gone_on_from(host, fake, point):
    killer = Killer(point)

    def expire() -> None:
        try:
            killer()
        except Killed:
            fake.key = "another key"

    host.step = expire
    with pytest.raises(NeedsHuman, match=r"Check general\.api_key"):
        host.run()
    fake.key, host.step = KEY, lambda: None
    assert host.run().rows == 300
    assert keys_of(fake) == EXPECTED


@pytest.mark.parametrize("method", ["createDatasetVersionFromUpload", "describeUpload", "describeDatasetVersion"])
def test_a_service_that_says_yes_and_tells_nothing(host, fake, monkeypatch, method):
    known = CALLS[method]

    def forgetful(backend, sent):
        known.answer(backend, sent)

    with monkeypatch.context() as patch:
        patch.setitem(CALLS, method, known._replace(answer=forgetful))
        with pytest.raises(TryAgain, match="says that it went well, and tells nothing of it"):
            host.run()
    assert host.run().rows == 300
    assert keys_of(fake) == EXPECTED


def test_what_keeps_coming_out_wrong_needs_a_human_and_leaves_nothing(host, fake):
    fake.faults.add(Fault("rows_short", times=4))
    with pytest.raises(NeedsHuman, match="came out wrong 4 times; last: datasetVersion_5 has 299 rows of 300"):
        host.run()
    host.run()
    assert keys_of(fake) == EXPECTED


def test_rejected_rows_are_kept_with_the_reason_and_the_rest_goes(tmp_path):
    bad = {"miner_01|2025-10-09T10:00:00Z": "too hot", "miner_02|2025-10-09T12:00:00Z": "too loud"}
    with FakeAbacus(
        "abacus-key-of-the-test", least_part_bytes=2_000, rejects=lambda r: bad.get(r["record_id"])
    ) as fake:
        infinite = ROWS["hashrate_hs"].to_pylist()
        infinite[0] = float("inf")
        rows = ROWS.set_column(ROWS.schema.get_field_index("hashrate_hs"), "hashrate_hs", pa.array(infinite))
        host = Host(fake, tmp_path, rows)
        report = host.run()
        assert (report.rows, report.rejected, report.watermark) == (297, 3, T0)
        letters = JournalFile(tmp_path, "miner_telemetry").rejected()
        assert {letter.record_id: (letter.by, letter.reason) for letter in letters} == {
            "miner_00|2025-10-09T09:00:00Z": ("lodeline", "hashrate_th_s is inf, which FLOAT cannot hold"),
            "miner_01|2025-10-09T10:00:00Z": ("service", "too hot"),
            "miner_02|2025-10-09T12:00:00Z": ("service", "too loud"),
        }
        assert letters[1].row["hashrate_th_s"] == 100.004
        journal = JournalFile(tmp_path, "miner_telemetry").load()
        assert (journal.rows_sent, journal.rows_rejected, journal.batch) == (297, 3, None)
        assert host.run().batches == 0


def test_killed_again_and_again_with_faults_between(tmp_path):
    """Four nights; runs are killed at random points, and the service has faults of all kinds at random."""
    dice = random.Random(8)
    with FakeAbacus("abacus-key-of-the-test", least_part_bytes=1_500) as fake:
        host = Host(fake, tmp_path, ROWS, max_retries=1)
        host.part_bytes = 1_500
        fake.faults.at_random(
            random.Random(9),
            0.05,
            ["error_500", "cut", "lost", "html", "wrong_md5", "rows_short", "import_failed", "join_failed"],
        )
        kills, nights = 0, 4
        host.rows = pa.concat_tables([view_rows(50, known=T0 + n, start=T0 + n * 86400) for n in range(nights)])
        for night in range(nights):
            for _ in range(100):
                host.step = Killer(dice.randint(4, 59))
                try:
                    host.run(until=T0 + night)
                except Killed:
                    kills += 1
                except (TryAgain, NeedsHuman):
                    pass
                else:
                    break
        assert kills >= 3
        assert len(fake.faults.taken) >= 3
        expected = sorted(
            (f"miner_{at % 3:02d}|{_utc(T0 + night * 86400 + at // 3 * 3600).isoformat()}Z", _utc(T0 + night))
            for night in range(nights)
            for at in range(50)
        )
        assert keys_of(fake) == expected


def test_a_damaged_file_is_made_anew(host, fake):
    fake.faults.add(Fault("error_500", "uploadPart", part=3, times=1_000))
    with pytest.raises(TryAgain):
        host.run()
    fake.faults.clear()
    (file,) = host.root.glob("*/batch-*")
    file.write_bytes(file.read_bytes()[:-1])
    assert host.run().rows == 300
    assert keys_of(fake) == EXPECTED
    assert not list(host.root.glob("*/batch-*"))


def test_what_is_erased_here_goes_no_more(tmp_path):
    with FakeAbacus("abacus-key-of-the-test", least_part_bytes=2_000, rejects=lambda row: "no") as fake:
        host = Host(fake, tmp_path, ROWS)
        assert host.run().rejected == 300
        fake.backend.rejects = lambda row: None
        host.rows = pa.concat_tables([ROWS, view_rows(300, known=T0 + 1)])
        fake.faults.add(Fault("error_500", "uploadPart", part=3, times=1_000))
        with pytest.raises(TryAgain):
            host.run(until=T0 + 1)
        entity = Entity({"miner_id": "miner_01"})
        assert erase_from_exports(tmp_path, entity).files == 2  # the file on its way, and the rejected rows
        letters = JournalFile(tmp_path, "miner_telemetry").rejected()
        assert {letter.record_id[:8] for letter in letters} == {"miner_00", "miner_02"}
        waiting = tmp_path / "miner_telemetry_online" / "batch-00000001.jsonl"  # of a stream: lines, not made anew
        waiting.parent.mkdir()
        waiting.write_text('{"miner_id":"miner_01"}\n{"miner_id":"miner_02"}\n')
        assert erase_from_exports(tmp_path, entity).files == 1
        assert waiting.read_text() == '{"miner_id":"miner_02"}\n'
        fake.faults.clear()
        host.rows = host.rows.filter(pc.not_equal(host.rows["miner_id"], "miner_01"))
        assert host.run(until=T0 + 1).rows == 200
        assert {row["miner_id"] for row in fake.rows("miner_telemetry_batches")} == {"miner_00", "miner_02"}


def test_rows_that_another_host_sent_are_not_sent_again(host, fake, tmp_path):
    host.run()
    other = Host(fake, tmp_path / "other", ROWS)
    with pytest.raises(NeedsHuman, match="has rows of miner_telemetry that this host does not know of"):
        other.run()
    assert keys_of(fake) == EXPECTED


def test_a_dataset_that_was_deleted_is_noticed(host, fake):
    host.run()
    with FakeAbacus("abacus-key-of-the-test", least_part_bytes=2_000) as empty:
        empty.backend.shelf.fresh_id("dataset")
        host.settings = Host(empty, host.root, ROWS).settings
        with pytest.raises(NeedsHuman, match="another dataset"):
            host.run()


def test_a_journal_that_cannot_be_read_is_said(host):
    host.run()
    path = host.root / "miner_telemetry" / "journal.json"
    path.write_text("{")
    with pytest.raises(NeedsHuman, match=r"journal\.json, cannot be read"):
        host.run()
