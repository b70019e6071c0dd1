"""Configuration changes in the trail: every key with old and new, secrets never, two at once recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from storage.audit.configuration import KEYS_OF_AN_ENTRY, flattened, note_configuration
from storage.audit.trail import Trail
from storage.spool.lock import try_lock


class Miner(BaseModel):
    id: str
    ip: str
    password: SecretStr | None = None


class Inner(BaseModel):
    days: int = 30
    words: tuple[str, ...] = ("a", "b")


class Sample(BaseModel):
    inner: Inner = Inner()
    miners: tuple[Miner, ...] = ()
    token: SecretStr | None = None
    by_name: dict[str, int] = {}


A = Miner(id="a", ip="10.0.0.1", password=SecretStr("hunter2"))
B = Miner(id="b", ip="10.0.0.2")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (Sample(), Sample(), None),
        (Sample(), Sample(inner=Inner(days=7)), {"inner.days": "30 -> 7"}),
        (Sample(), Sample(inner=Inner(words=("b",))), {"inner.words": "a, b -> b"}),
        (Sample(), Sample(token=SecretStr("s3cret")), {"token": "changed"}),
        (Sample(token=SecretStr("s3cret")), Sample(), {"token": "changed"}),
        (Sample(token=SecretStr("s3cret")), Sample(token=SecretStr("other")), None),
        (Sample(miners=(A,)), Sample(miners=(B, A)), {
            "miners[b].id": "(none) -> b", "miners[b].ip": "(none) -> 10.0.0.2", "miners[b].password": "(none) -> None",
        }),
        (Sample(miners=(A, B)), Sample(miners=(B,)), {
            "miners[a].id": "a -> (none)", "miners[a].ip": "10.0.0.1 -> (none)", "miners[a].password": "changed",
        }),
        (Sample(by_name={"x": 1}), Sample(by_name={"x": 2}), {"by_name[x]": "1 -> 2"}),
    ],
)  # fmt: skip
def test_what_changed_is_told_by_key(tmp_path: Path, old: Sample, new: Sample, told: dict[str, str] | None) -> None:
    trail = Trail.open(tmp_path, "host")
    (first,) = note_configuration(trail, tmp_path / "state", {"file.yaml": old}, actor="test")
    assert first.detail == {"first_seen": True, "keys": len(dict(flattened(old)))}
    entries = note_configuration(trail, tmp_path / "state", {"file.yaml": new}, actor="test")
    assert [entry.detail for entry in entries] == ([] if told is None else [told])
    assert note_configuration(trail, tmp_path / "state", {"file.yaml": new}, actor="test") == []
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(secret in written for secret in (b"hunter2", b"s3cret", b"other"))


def test_many_keys_are_told_in_several_entries(tmp_path: Path) -> None:
    trail = Trail.open(tmp_path, "host")
    note_configuration(trail, tmp_path / "state", {"file.yaml": Sample()}, actor="test")
    many = Sample(by_name={str(number): number for number in range(KEYS_OF_AN_ENTRY + 1)})
    entries = note_configuration(trail, tmp_path / "state", {"file.yaml": many}, actor="test")
    assert [len(entry.detail or {}) for entry in entries] == [KEYS_OF_AN_ENTRY, 1]


def test_of_two_at_once_one_gives_way(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert try_lock(state / ".configuration.lock", "somebody") is not None
    assert note_configuration(Trail.open(tmp_path, "host"), state, {"file.yaml": Sample()}, actor="test") == []


def test_a_trail_that_cannot_be_written_stops_nobody_and_is_made_up_for(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("in the way")
    trail, state = Trail.open(tmp_path, "host"), tmp_path / "state"
    assert note_configuration(trail, state, {"file.yaml": Sample()}, actor="test") == []
    (tmp_path / "audit").unlink()
    assert len(note_configuration(trail, state, {"file.yaml": Sample()}, actor="test")) == 1
