"""Which explorers the configuration asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tasks.market.coins import COINS, Coin
from tasks.market.network import blockchain_info, litesolo, mempool_space, minerstat, whattomine
from tasks.market.network.explorer import Ask, Explorer
from tasks.market.network.memory import NetworkMemory
from tasks.market.network.settings import ExplorerSettings, NetworkSettings
from tasks.resilience.http import Api
from tasks.sources.paces import Paces, Rate


@dataclass(frozen=True, slots=True)
class _Kind:
    """An explorer as its file describes it."""

    name: str
    base_url: str
    coins: frozenset[str]
    rate: Rate
    ask: Ask
    taken: Collection[HTTPStatus] = ()


_KEYLESS: Mapping[str, _Kind] = {
    field: _Kind(room.NAME, room.BASE_URL, room.COINS, Rate(room.PER_MINUTE, room.BURST), room.ask)
    for field, room in (
        ("mempool_space", mempool_space),
        ("blockchain_info", blockchain_info),
        ("litesolo", litesolo),
        ("whattomine", whattomine),
    )
}  # by their names in NetworkSettings
_MINERSTAT = _Kind(
    minerstat.NAME, minerstat.BASE_URL, minerstat.COINS, Rate(minerstat.PER_MINUTE, minerstat.BURST), minerstat.ask,
    minerstat.TAKEN,
)  # fmt: skip


def open_network_sources(
    settings: NetworkSettings, followed: Sequence[str], *, state: Path, paces: Paces | None = None
) -> list[Explorer]:
    """Explorers that can tell of a coin of ``settings``, or else of ``followed``; ``state`` keeps their memory.

    ``paces`` are by default those of a host that asks alone.
    """
    paces = paces or Paces(state)
    memory = NetworkMemory(state)
    explorers: list[Explorer] = []
    for kind, said, told in _wanted(settings, followed):
        key = settings.minerstat.api_key if kind is _MINERSTAT and settings.minerstat is not None else None
        api = Api(
            kind.name,
            said.base_url or kind.base_url,
            headers=None if key is None else {minerstat.KEY_HEADER: key},
            pace=paces.of(kind.name, kind.rate),
            ca_file=said.ca_file,
            taken=kind.taken,
        )
        explorers.append(Explorer(kind.name, api, kind.ask, told, memory, every_s=said.polling_interval))
    return explorers


def network_rates(settings: NetworkSettings, followed: Sequence[str]) -> dict[str, Rate]:
    """How fast the explorers that are asked may be asked, by name."""
    return {kind.name: kind.rate for kind, _, _ in _wanted(settings, followed)}


def explorer_intervals(settings: NetworkSettings, followed: Sequence[str]) -> dict[str, int]:
    """Seconds between requests of the explorers that are asked, by name."""
    return {kind.name: said.polling_interval for kind, said, _ in _wanted(settings, followed)}


def _wanted(settings: NetworkSettings, followed: Sequence[str]) -> list[tuple[_Kind, ExplorerSettings, list[Coin]]]:
    """Explorers that are asked, with the coins that they can tell of."""
    if not settings.enabled:
        return []
    coins = minable(settings.coins if settings.coins is not None else followed)
    wanted: list[tuple[_Kind, ExplorerSettings]] = [
        (kind, getattr(settings, field)) for field, kind in _KEYLESS.items()
    ]
    if settings.minerstat is not None:
        wanted.append((_MINERSTAT, settings.minerstat))
    told = ((kind, said, [coin for coin in coins if coin.id in kind.coins]) for kind, said in wanted if said.enabled)
    return [(kind, said, of_it) for kind, said, of_it in told if of_it]


def minable(coin_ids: Sequence[str]) -> list[Coin]:
    """Those that are in the table of coins with an algorithm, in its order: others have no network of miners."""
    return [coin for coin in COINS.values() if coin.id in coin_ids and coin.algorithm is not None]
