"""The table of coins: one id for each, and what every other source calls it.

Lodeline's id is CoinGecko's, which is unique; symbols are not (many tokens carry the symbol of a coin), so a symbol is
only looked up among coins of this table. Numbers of CoinMarketCap are those that its listings give, general knowledge
as the target block times and algorithms are; a coin whose number is not known is matched by its symbol and name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coin:
    """One coin. ``algorithm`` is None where no miner of ours can mine it.

    ``parent`` is the coin that it is merge-mined with: the same hashes count for both. ``block_time_s`` is the target.
    """

    id: str
    symbol: str
    name: str
    coinmarketcap: int | None = None
    algorithm: str | None = None
    block_time_s: float | None = None
    parent: str | None = None


_TABLE = (
    Coin("bitcoin", "BTC", "Bitcoin", 1, "sha256d", 600),
    Coin("bitcoin-cash", "BCH", "Bitcoin Cash", 1831, "sha256d", 600),
    Coin("namecoin", "NMC", "Namecoin", 3, "sha256d", 600, "bitcoin"),
    Coin("syscoin", "SYS", "Syscoin", 541, "sha256d", 150, "bitcoin"),
    Coin("elastos", "ELA", "Elastos", 2492, "sha256d", 120, "bitcoin"),
    Coin("rootstock", "RBTC", "Rootstock Smart Bitcoin", 3626, "sha256d", 30, "bitcoin"),
    Coin("litecoin", "LTC", "Litecoin", 2, "scrypt", 150),
    Coin("dogecoin", "DOGE", "Dogecoin", 74, "scrypt", 60, "litecoin"),
    Coin("bellscoin", "BEL", "Bellscoin", None, "scrypt", 60, "litecoin"),
    Coin("pepecoin-network", "PEP", "Pepecoin", None, "scrypt", 60, "litecoin"),
    Coin("digibyte", "DGB", "DigiByte", 109, None, 15),  # five algorithms in turn
    Coin("dash", "DASH", "Dash", 131, "x11", 157.5),
    Coin("zcash", "ZEC", "Zcash", 1437, "equihash", 75),
    Coin("ethereum-classic", "ETC", "Ethereum Classic", 1321, "etchash", 13),
    Coin("kaspa", "KAS", "Kaspa", 20396, "kheavyhash", 0.1),
    Coin("ethereum", "ETH", "Ethereum", 1027),
    Coin("monero", "XMR", "Monero", 328, "randomx", 120),
    Coin("tether", "USDT", "Tether", 825),
)

COINS: dict[str, Coin] = {coin.id: coin for coin in _TABLE}

_BY_SYMBOL = {coin.symbol: coin for coin in _TABLE}
_BY_NAME = {coin.name.lower(): coin for coin in _TABLE}


def by_symbol(symbol: str, among: Iterable[str] | None = None) -> Coin | None:
    """The coin of ``symbol`` in any case, of those with an id in ``among``; None where there is none."""
    coin = _BY_SYMBOL.get(symbol.strip().upper())
    return coin if coin is not None and (among is None or coin.id in set(among)) else None


def by_name(name: str) -> Coin | None:
    """The coin called ``name``: its full name or id in any case, as pools write them (``Bitcoin-cash``)."""
    plain = name.strip().lower().replace(" ", "-").replace("_", "-")
    return COINS.get(plain) or _BY_NAME.get(plain.replace("-", " "))


def merge_mined_with(coin_id: str) -> tuple[Coin, ...]:
    """Coins that the hashes of ``coin_id`` count for as well, in the order of the table."""
    return tuple(coin for coin in _TABLE if coin.parent == coin_id)
