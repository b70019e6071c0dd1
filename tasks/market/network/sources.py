"""Which explorers the configuration asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from pydantic import SecretStr

from tasks.market.coins import COINS, Coin
from tasks.market.network import blockchain_info, litesolo, mempool_space, minerstat, whattomine
from tasks.market.network.explorer import Ask, Explorer
from tasks.market.network.memory import NetworkMemory
from tasks.market.network.settings import ExplorerSettings, NetworkSettings
from tasks.resilience.http import Api
from tasks.sources.pace import HostPace


@dataclass(frozen=True, slots=True)
class _Kind:
    """An explorer as its file describes it."""

    name: str
    base_url: str
    coins: frozenset[str]
    per_minute: float
    burst: int
    ask: Ask
    taken: Collection[HTTPStatus] = ()


_KEYLESS: Mapping[str, _Kind] = {
    field: _Kind(room.NAME, room.BASE_URL, room.COINS, room.PER_MINUTE, room.BURST, room.ask)
    for field, room in (
        ("mempool_space", mempool_space),
        ("blockchain_info", blockchain_info),
        ("litesolo", litesolo),
        ("whattomine", whattomine),
    )
}  # by their names in NetworkSettings
_MINERSTAT = _Kind(
    minerstat.NAME, minerstat.BASE_URL, minerstat.COINS, minerstat.PER_MINUTE, minerstat.BURST, minerstat.ask,
    minerstat.TAKEN,
)  # fmt: skip


def open_network_sources(settings: NetworkSettings, followed: Sequence[str], *, state: Path) -> list[Explorer]:
    """Explorers that can tell of a coin of ``settings``, or else of ``followed``; ``state`` keeps pace and memory."""
    if not settings.enabled:
        return []
    coins = minable(settings.coins if settings.coins is not None else followed)
    memory = NetworkMemory(state)
    explorers: list[Explorer] = []
    wanted: list[tuple[_Kind, ExplorerSettings]] = [
        (kind, getattr(settings, field)) for field, kind in _KEYLESS.items()
    ]
    key: SecretStr | None = None
    if settings.minerstat is not None:
        wanted.append((_MINERSTAT, settings.minerstat))
        key = settings.minerstat.api_key
    for kind, said in wanted:
        told = [coin for coin in coins if coin.id in kind.coins]
        if told and said.enabled:
            api = Api(
                kind.name,
                said.base_url or kind.base_url,
                headers={minerstat.KEY_HEADER: key} if kind is _MINERSTAT and key is not None else None,
                pace=HostPace(state, kind.name, per_minute=kind.per_minute, burst=kind.burst),
                ca_file=said.ca_file,
                taken=kind.taken,
            )
            explorers.append(Explorer(kind.name, api, kind.ask, told, memory, every_s=said.polling_interval))
    return explorers


def minable(coin_ids: Sequence[str]) -> list[Coin]:
    """Those that are in the table of coins with an algorithm, in its order: others have no network of miners."""
    return [coin for coin in COINS.values() if coin.id in coin_ids and coin.algorithm is not None]
