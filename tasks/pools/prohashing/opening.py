"""Section ``prohashing`` as sources and a stream."""

from __future__ import annotations

from pathlib import Path

from tasks.pools.means import BtcUsd, Means
from tasks.pools.prohashing.account import BURST, PER_MINUTE, open_account
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.price_guard import PriceGuard
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.stream import ProhashingStream
from tasks.pools.prohashing.watch import LinkWatch
from tasks.pools.prohashing.worth import NetworkWorth
from tasks.sources.pace import HostPace
from tasks.sources.source import Source, Stream


def open_prohashing(settings: ProhashingSettings, *, state: Path, btc_usd: BtcUsd) -> tuple[list[Source], list[Stream]]:
    """HTTP, WAMP, and what tells of WAMP, as far as they are enabled; ``state`` is the folder of pace and prices.

    Raises:
        SourceFailure: the ``ca_file`` of HTTP cannot be read.
    """
    link = Link(f"{POOL_ID}: WAMP")
    guard = PriceGuard(state, POOL_ID, NetworkWorth(state))
    sources: list[Source] = []
    streams: list[Stream] = []
    if settings.http.enabled:
        pace = HostPace(state, POOL_ID, per_minute=PER_MINUTE, burst=BURST)
        sources.append(open_account(settings, Means(settings.api_key, pace, btc_usd), link, guard))
    if settings.wamp.enabled:
        sources.append(LinkWatch(link))
        streams.append(ProhashingStream(settings, link, guard))
    return sources, streams
