"""Presets, and what a section may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.collection_settings import CollectionSettings
from tasks.pools.prohashing.settings import ProhashingSettings, ProhashingWampSettings
from tasks.pools.prohashing.subject import Subject, subject_of
from tasks.pools.sources import open_pool_sources

KEY = "planted-5eb1f00d4711"


def wamp(**said: Any) -> ProhashingWampSettings:
    return ProhashingWampSettings.model_validate(said)


def test_the_documented_preset_is_the_default() -> None:
    assert wamp() == wamp(preset="documented")
    assert (wamp().url, wamp().realm, wamp().auth) == ("wss://prohashing.com:3333/ws", "realm1", "anonymous")
    assert wamp().subscriptions == ("com.prohashing.profitability", "com.prohashing.worker")
    assert wamp().snapshots == ()


def test_the_live_preset_fills_what_is_not_said() -> None:
    live = wamp(preset="live", url="ws://127.0.0.1:1/ws")
    assert (live.url, live.realm, live.auth, live.auth_id) == ("ws://127.0.0.1:1/ws", "mining", "wampcra", "web")
    assert {subject_of(one.procedure) for one in live.snapshots} == set(Subject)
    assert {subject_of(topic) for topic in live.subscriptions} == set(Subject)


def test_a_key_in_a_topic_is_replaced_by_what_stands_for_it() -> None:
    section = ProhashingSettings.model_validate(
        {"api_key": KEY, "wamp": {"subscriptions": [f"miner_updates_{KEY}"],
         "snapshots": [{"procedure": "f_all_miner_updates", "arguments": [KEY]}]}}
    )  # fmt: skip
    assert section.wamp.subscriptions == ("miner_updates_{api_key}",)
    assert KEY not in repr(section)


def test_a_topic_that_is_about_nothing_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError, match="must be in it") as caught:
        wamp(subscriptions=["something_else"])
    assert "something_else" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "sources", "streams"),
    [
        ({}, ["prohashing", "prohashing_wamp"], 1),
        ({"wamp": {"enabled": False}}, ["prohashing"], 0),
        ({"http": {"enabled": False}}, ["prohashing_wamp"], 1),
    ],
)
async def test_what_is_opened(said: dict[str, Any], sources: list[str], streams: int, tmp_path: Path) -> None:
    settings = CollectionSettings.model_validate({"prohashing": {"api_key": KEY, **said}})
    opened, _, flowing = open_pool_sources(settings, state=tmp_path)
    assert [source.name for source in opened] == sources
    assert len(flowing) == streams
    for source in opened:
        await source.aclose()
