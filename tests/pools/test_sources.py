"""Section ``pools`` of the configuration, and the sources that it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.configuration import Resolver
from storage.errors import ConfigurationError
from tasks.collection_settings import CollectionSettings, load_collection_settings
from tasks.pools.configured import Expected, PoolName, expectations, pool_names
from tasks.pools.sources import open_pool_sources
from tasks.sources.failure import SourceFailure, SourceFailureKind

KEY = "planted-9f2c"


def resolve(name: str) -> str | None:
    return {"POOL_KEY": KEY}.get(name)


def loaded(folder: Path, text: str, resolver: Resolver = resolve) -> CollectionSettings:
    file = folder / "data_collection_config.yaml"
    file.write_text(text, encoding="utf-8")
    return load_collection_settings(file, {}, resolver)


LIVE_AND_GONE = """\
pools:
  - id: ltc
    kind: litecoinpool
    account: Farm
    api_key: ${POOL_KEY}
    polling_intervals: {workers: 600, payouts: 120}
  - id: old
    kind: litecoinpool
    state: gone
"""


async def test_a_live_and_a_closed_pool(tmp_path: Path) -> None:
    sources, budgets, streams = open_pool_sources(loaded(tmp_path, LIVE_AND_GONE), state=tmp_path / "state")
    assert [source.name for source in sources] == ["ltc", "old"]
    assert (budgets, streams) == ({}, [])
    live, closed = sources
    assert [(request.name, request.every_s) for request in live.requests] == [("account", 120)]
    with pytest.raises(SourceFailure, match="closed") as caught:
        await closed.ask(closed.requests[0], 1_800_000_000)
    assert caught.value.kind is SourceFailureKind.GONE
    for source in sources:
        await source.aclose()


def test_without_the_section_no_pool_is_asked(tmp_path: Path) -> None:
    assert open_pool_sources(CollectionSettings(), state=tmp_path) == ([], {}, [])


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        ("{id: a, kind: litecoinpool, account: farm}", "api_key: is missing; set it, or state: gone"),
        ("{id: a, kind: litecoinpool, api_key: k}", "account: is missing; litecoinpool has it before the dot"),
        ("{id: A b, kind: litecoinpool, state: gone}", "id"),
        ("{id: prohashing, kind: litecoinpool, state: gone}", "take another"),
        ("{id: a, kind: litecoinpool, state: gone, coins: [LTC]}", "no coin that Lodeline knows"),
        ("{id: a, kind: litecoinpool, state: gone, coins: [litecoin, litecoin]}", "twice"),
        ("{id: a, kind: slushpool, state: gone}", "kind"),
    ],
)
def test_faults_of_a_pool_are_told_with_their_line(tmp_path: Path, pool: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, f"pools:\n  - {pool}\n")
    assert ".yaml:2" in str(caught.value)
    assert told in str(caught.value)


def test_an_id_may_be_there_once(tmp_path: Path) -> None:
    one = "  - {id: a, kind: litecoinpool, state: gone}\n"
    with pytest.raises(ConfigurationError, match="the same as"):
        loaded(tmp_path, f"pools:\n{one}{one}")


MINERS = """\
miners:
  - {id: m1, ip: 10.0.0.1, model: L7, pool: ltc, worker: Rig1}
  - {id: m2, ip: 10.0.0.2, model: L7, pool: old}
  - {id: m3, ip: 10.0.0.3, model: L7}
prohashing: {api_key: "${POOL_KEY}", account: me}
"""


def test_where_miners_should_mine(tmp_path: Path) -> None:
    settings = loaded(tmp_path, LIVE_AND_GONE + MINERS)
    pools = pool_names(settings)
    assert pools == [
        PoolName("ltc", "litecoinpool", "Farm"),
        PoolName("old", "litecoinpool", None),
        PoolName("prohashing", "prohashing", "me"),
    ]
    assert expectations(settings, pools) == {"m1": Expected("ltc", "farm.rig1"), "m2": Expected("old", None)}


@pytest.mark.parametrize(
    ("miner", "said"),
    [
        ("pool: elsewhere", r"miners\[0\]\.pool: there is no pool 'elsewhere': expected one of ltc, old"),
        ("worker: rig1", "worker needs pool"),
    ],
)
def test_a_pool_that_is_not_there(miner: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        loaded(tmp_path, LIVE_AND_GONE + f"miners: [{{id: m1, ip: 10.0.0.1, model: L7, {miner}}}]")
