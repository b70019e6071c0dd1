"""Which measurements a request to a source brings rows of, by the request's name; a test asks every source for it."""

from __future__ import annotations

from collections.abc import Mapping

STREAMED = "wamp "
"""Before the subject, in the name under which what a stream sent is kept."""

_WORKERS = frozenset({"pool_performance", "pool_coin", "pool_account"})

BRINGS: Mapping[str, frozenset[str]] = {
    "account": _WORKERS | {"pool_payout", "pool_profitability", "network_data"},
    "workers": _WORKERS,
    "payouts": frozenset({"pool_account", "pool_payout"}),
    "status": frozenset({"pool_profitability"}),
    "profitability": frozenset({"pool_profitability"}),
    f"{STREAMED}workers": frozenset({"pool_performance", "pool_coin"}),
    f"{STREAMED}profitability": frozenset({"pool_profitability"}),
    f"{STREAMED}general": frozenset({"pool_profitability"}),
    f"{STREAMED}balances": frozenset({"pool_account"}),
    "market_data": frozenset({"market_data"}),
    "simple_price": frozenset({"market_data"}),
    "historical": frozenset({"daily_close"}),
    "listings": frozenset({"market_data"}),
    "global_metrics": frozenset({"market_global"}),
    "networks": frozenset({"network_data"}),
}

BROUGHT = tuple(sorted(frozenset[str]().union(*BRINGS.values())))
"""Measurements whose rows sources tell."""


def may_bring(request: str, measurement: str) -> bool:
    """Whether ``request`` can have brought a row. One of a name that is not known, of another version, can."""
    brings = BRINGS.get(request.partition(".")[0])
    return brings is None or measurement in brings


def bringing(measurement: str) -> list[str]:
    """Names of the requests that bring rows of ``measurement``."""
    return [request for request, brings in BRINGS.items() if measurement in brings]
