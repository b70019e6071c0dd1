"""Section ``prohashing`` as sources and a stream."""

from __future__ import annotations

from pathlib import Path

from tasks.pools.closed import ClosedPool
from tasks.pools.means import BtcUsd, Means
from tasks.pools.network_worth import NetworkWorth
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.account import BURST, PER_MINUTE, open_account
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.stream import ProhashingStream
from tasks.pools.prohashing.watch import LinkWatch
from tasks.sources.paces import Paces, Rate
from tasks.sources.source import Source, Stream

RATE = Rate(PER_MINUTE, BURST)


def open_prohashing(
    settings: ProhashingSettings, *, state: Path, paces: Paces, btc_usd: BtcUsd
) -> tuple[list[Source], list[Stream]]:
    """HTTP, WAMP, and what tells of WAMP, as far as they are enabled; or one source that says that the pool has closed.

    ``state`` is the folder of prices.
    """
    if settings.state == "gone":
        return [ClosedPool(POOL_ID, settings.http.polling_intervals.payouts)], []
    link = Link(f"{POOL_ID}: WAMP")
    guard = PriceGuard(state, POOL_ID, NetworkWorth(state))
    sources: list[Source] = []
    streams: list[Stream] = []
    if settings.http.enabled:
        pace = paces.of(POOL_ID, RATE)
        sources.append(open_account(settings, Means(settings.api_key, pace, btc_usd), link, guard))
    if settings.wamp.enabled:
        sources.append(LinkWatch(link))
        streams.append(ProhashingStream(settings, link, guard))
    return sources, streams
