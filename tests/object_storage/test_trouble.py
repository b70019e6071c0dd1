"""A store that is away, refuses, or has no such bucket: what is collected is kept, and the text says what to do."""

from __future__ import annotations

import logging
import os

import pytest
from pydantic import SecretStr

from deployments.up.ports import free_port
from storage.declaration import Tier
from storage.delivery.delivery import Delivery
from storage.errors import LodelineError, NeedsHuman, StoreError
from storage.lake import object_store
from storage.lake.maintenance import maintain
from storage.lake.object_store import ObjectLocation, ObjectStore
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.opening import lake_location, open_sinks
from storage.settings import LakeSettings, StorageSettings
from storage.spool.lane import Lane
from storage.spool.record import Batch
from tests.lake.rows import FAN, NOON, fan_frame, stored_rows, tick
from tests.object_storage.conftest import SECRET, make_bucket, port_of, started

KEY = "AKIDOFNOBODY"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(object_store, "TRIES", 1)


@pytest.fixture
def away(impatient) -> ObjectLocation:
    return ObjectLocation(_nobody(free_port()), "lake")


@pytest.fixture(scope="module")
def guarded():
    """Port of a server that asks for right keys, which nobody has."""
    with started(**os.environ, INITIAL_NO_AUTH_ACTION_COUNT="1") as server:
        port = port_of(server)
        make_bucket(port, "lake")
        yield port


@pytest.fixture
def refusing(guarded, impatient) -> ObjectLocation:
    return ObjectLocation(_nobody(guarded), "farm")


@pytest.fixture
def without_bucket(s3_port, impatient) -> ObjectLocation:
    return ObjectLocation(_nobody(s3_port), "farm")


def _nobody(port: int) -> ObjectStore:
    return ObjectStore("lake", "us-east-1", f"http://127.0.0.1:{port}", SecretStr(KEY), SecretStr(SECRET))


def everything(root: ObjectLocation):
    """What anybody asks of a lake."""
    store = EmbeddedStore(root)
    yield lambda: LakeSink(root, "host").deliver([tick(1)])
    yield lambda: store.read(FAN, Tier.RAW, 0, 2 * NOON)
    yield lambda: store.write([fan_frame([(NOON, "a", 1)])])
    yield lambda: store.newest(FAN, 0)
    store.close()


@pytest.mark.parametrize(
    ("where", "kind", "said"),
    [
        ("away", StoreError, "connect"),
        ("refusing", NeedsHuman, "refuses the credentials.*LODELINE_LAKE__ACCESS_KEY_ID"),
        ("without_bucket", NeedsHuman, "no bucket 'lake'.*LODELINE_LAKE__URI"),
    ],
)
def test_every_call_says_whether_waiting_helps_and_no_secret(where, kind, said, request, caplog):
    root = request.getfixturevalue(where)
    caplog.set_level(logging.DEBUG)
    for call in everything(root):
        with pytest.raises(kind, match=f"(?i){said}") as caught:
            call()
        text = repr(caught.getrepr(style="short")) + str(caught.value)
        assert SECRET not in text
        assert KEY not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "\x1b" not in str(caught.value)
    assert SECRET not in caplog.text
    assert SECRET not in repr(root) + repr(vars(root.store))


def test_upkeep_of_a_lake_that_refuses_ends_at_once(refusing):
    with pytest.raises(NeedsHuman, match="refuses the credentials"):
        maintain(refusing, NOON)


def test_while_the_store_is_away_the_spool_keeps_and_afterwards_everything_is_there_once(tmp_path, root, away):
    with Lane.open(tmp_path, "miners", cap_bytes=2**24) as lane:
        for sequence in (1, 2, 3):
            lane.append(Batch(f"miners/{sequence}", NOON, "run", list(tick(sequence).batch.frames)))
    delivery = Delivery(tmp_path, [LakeSink(away, "host")], "host")
    assert not delivery.deliver_once()
    books = delivery.books()["miners"]["lake"]
    delivery.close()
    assert (books.accepted, books.stored, books.backlog) == (9, 0, 9)
    assert books.trouble is not None
    assert "connect" in books.trouble
    delivery = Delivery(tmp_path, [LakeSink(root, "host")], "host")
    assert delivery.flush(60)
    assert delivery.books()["miners"]["lake"].stored == 9
    delivery.close()
    assert sorted(row["speed_rpm"] for row in stored_rows(root)) == [1] * 3 + [2] * 3 + [3] * 3


def test_a_file_that_somebody_deleted_is_found_before_the_table_is_written_to(root):
    LakeSink(root, "host").deliver([tick(1)])
    table = LakeTable(root, FAN, Tier.RAW)
    snapshot = table.snapshot()
    assert snapshot is not None
    (part,) = snapshot.parts
    assert isinstance(part.path, ObjectLocation)
    root.store.files.delete_file(part.path.address)
    with pytest.raises(NeedsHuman, match=f"{part.path.name} is missing"):
        LakeSink(root, "host").deliver([tick(2)])


def test_a_host_is_told_where_its_lake_is(s3_port, root):
    settings = StorageSettings(
        lake=LakeSettings(
            uri=f"{root}",
            endpoint=f"http://127.0.0.1:{s3_port}",
            access_key_id=SecretStr("key"),
            secret_access_key=SecretStr(SECRET),
        )
    )
    assert lake_location(settings) == root
    assert SECRET not in repr(settings)
    (sink,) = open_sinks(settings, "host")
    sink.deliver([tick(1)])
    assert len(stored_rows(root)) == 3


def test_the_error_of_either_client_becomes_one_line():
    store = _nobody(1)
    told = object_store.explanation("lake table x", store, "Generic S3\n \x1b[31m↳\x1b[0m error\n <?xml a?><Error/>")
    assert isinstance(told, StoreError)
    assert str(told) == "lake table x: Generic S3 error"
    assert isinstance(told, LodelineError)
