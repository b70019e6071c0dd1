"""The book of alerts: what names an erased miner goes from every byte of it; the rest, and a book in use, go on."""

from __future__ import annotations

from pathlib import Path

from storage.erasure.entity import Entity
from storage.erasure.files import erase_from_state
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Change, Event, Phase
from tasks.alerts.muting import Silence
from tasks.alerts.rule import Level
from tasks.alerts.telling import Message

T = 1_800_000_000.0


def alert(miner: str) -> Alert:
    return Alert(
        id=f"id-{miner[-1]}", rule="fan_lost", subject=miner, entity=miner, site="", rack="", within="",
        level=Level.CRITICAL, phase=Phase.FIRING, since=T, seen=T, message=f"{miner}: fan 1", fired=T,
    )  # fmt: skip


def message(miner: str) -> Message:
    return Message(
        channel="ops", title=f"fan_lost: {miner}", body=miner, level=Level.CRITICAL, over=False, alerts=("a",)
    )


def test_only_the_erased_miner_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    book = Book.open(state)
    with book.transaction():
        book.replace_alerts([alert("miner_0001"), alert("miner_0002")])
        book.add_changes([Change(event=Event.FIRED, at=T, alert=alert(f"miner_000{n}")) for n in (1, 2)])
        book.post([message("miner_0001"), message("miner_0002")], T)
        book.put_silence(Silence(id="s", by="ana", made=T, until=T + 1, entity="miner_0001"))
        book.note_look(Look(at=T))
    assert erase_from_state(state, Entity({"miner_id": "miner_0001"})).files == 1
    assert [one.subject for one in book.alerts().values()] == ["miner_0002"], "the book that was open goes on"
    assert [change.alert.subject for change in book.changes(0)] == ["miner_0002"]
    assert [one.message.body for one in book.outgoing(T)] == ["miner_0002"]
    assert book.silences() == []
    assert book.last_look() == Look(at=T)
    found = [path.name for path in state.iterdir() if b"miner_0001" in path.read_bytes()]
    assert found == []
    assert erase_from_state(state, Entity({"miner_id": "miner_0001"})).files == 0
    book.close()
