"""The card of pools."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.page import markup
from deployments.page.answer import Answer
from deployments.page.card import Card, away
from deployments.page.markup import Html
from deployments.page.money_view import usd
from deployments.page.pools import Account, PoolLine, Pools
from deployments.page.reading import PageReader
from tasks import quantity
from tasks.derive.source_gaps import SourceGap
from tasks.market.coins import COINS

NAMED = 3
"""Workers that do not fit a miner and are named; of more it says how many."""


class PoolsCard:
    """Hashrates against ours, and accounts."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._card = Card("Pools", "pools")

    def update(self) -> None:
        """Show what was read last."""
        answer = self._reader.background.pools()
        if not self._card.is_news(answer):
            return
        if answer.value is None:
            self._card.show_unread(answer, "What pools told")
        else:
            self._card.show(told(answer.value), body(answer.value, answer))


def told(pools: Pools) -> Html:
    """Which hour workers were compared in."""
    if pools.hour is None:
        return markup.text("no hour of the last day is compared")
    return markup.age(pools.hour + 3_600, "pools against miners in the hour that ended ")


def body(pools: Pools, answer: Answer[Pools]) -> Html:
    """All of it."""
    if not pools.pools:
        return markup.empty("No pool is configured (section pools)")
    columns = ("Pool", "State", "Workers", "Pool says", "Miners say", "Ratio")
    hashrates = markup.table(
        "Hashrate that pools report against that of our miners",
        columns,
        [_hashrate(pool) for pool in pools.pools],
        figures=columns[2:],
    )
    told = [account for pool in pools.pools for account in pool.accounts]
    names = ("Account", "Credited 24 h", "Unpaid", "Last credit", "Told")
    accounts = markup.table(
        "Accounts at pools",
        names,
        [_account(account) for account in told if not account.row["reason"]],
        figures=names[1:],
    )
    silent = [f"{account.row['pool_id']} {account.row['reason']}" for account in told if account.row["reason"]]
    unknown = markup.note(markup.text("; ".join(silent))) if silent else markup.NOTHING
    return markup.joined((away(answer), hashrates, *_misfits(pools), accounts, unknown, gaps_of_a_day(pools.gaps)))


def gaps_of_a_day(gaps: Sequence[SourceGap]) -> Html:
    """When sources told nothing in the last day, and why; the newest of each, and how many more there are."""
    if not gaps:
        return markup.NOTHING
    newest = {gap.source: gap for gap in gaps}  # they come in order of time
    said = []
    for source, gap in newest.items():
        more = sum(one.source == source for one in gaps) - 1
        to = "" if gap.open else f" to {quantity.clock(gap.stop)}"
        said.append(
            f"{source} {'since' if gap.open else 'from'} {quantity.clock(gap.start)}{to}: {gap.reason}"
            f"{f' (and {more} more)' if more else ''}"
        )
    return markup.note(markup.text(f"Told nothing in the last day: {'; '.join(said)}"))


def _hashrate(pool: PoolLine) -> tuple[Html, ...]:
    states = sorted({str(account.row["status"] or "unknown") for account in pool.accounts})
    counted = [account.row for account in pool.accounts if account.row["workers_active"] is not None]
    active = max((row["workers_active"] for row in counted), default=None)
    silent = max((row["workers_inactive"] or 0 for row in counted), default=0)
    workers = quantity.number(active) + (f", {silent} not seen" if silent else "")
    ratio = quantity.DASH if pool.ratio is None else f"{pool.ratio:.1%}"
    why = None if pool.compared else "no worker of it was compared with a miner in that hour"
    return (
        markup.text(pool.pool_id),
        markup.joined(markup.status(_CONDITION.get(state, "unknown"), state.replace("_", " ")) for state in states),
        markup.text(workers),
        markup.element("span", markup.text(quantity.hashrate(pool.pool_hs, pool.algorithm)), title=why),
        markup.element("span", markup.text(quantity.hashrate(pool.miners_hs, pool.algorithm)), title=why),
        markup.element("span", markup.text(ratio), title=why or f"over {pool.compared} workers"),
    )


_CONDITION = {"live": "ok", "all_offline": "failed", "gone": "paused", "refused": "critical"}


def _misfits(pools: Pools) -> list[Html]:
    said = []
    for pool in pools.pools:
        if pool.others:
            counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(pool.others.items()))
            named = "; ".join(pool.reasons[:NAMED])
            more = f" and {len(pool.reasons) - NAMED} more" if len(pool.reasons) > NAMED else ""
            said.append(markup.note(markup.text(f"{pool.pool_id}: {counts}{f': {named}{more}' if named else ''}")))
    if pools.elsewhere:
        first = pools.elsewhere[:NAMED]
        names = markup.joined(
            markup.joined((markup.miner(row["miner_id"]), markup.text(f" ({row['reason'] or row['status']}) ")))
            for row in first
            if row["miner_id"]
        )
        said.append(markup.note(markup.text(f"{len(pools.elsewhere)} known to no pool: "), names, bad=True))
    return said


def _account(account: Account) -> tuple[Html, ...]:
    row, credit = account.row, account.credit
    symbol = _symbol(row["coin_id"])
    name = f"{row['pool_id']} {symbol}".strip()
    if credit is None:
        last = markup.element("span", markup.text(quantity.DASH), title="the pool listed no credit in 35 days")
    else:
        worth = "" if credit["usd_at_receipt"] is None else f", {usd(credit['usd_at_receipt'])}"
        amount = coins(credit["amount"], symbol) + worth
        last = markup.joined((markup.text(f"{amount}, "), markup.age(credit["time"].timestamp())))
    return (
        markup.text(name),
        markup.text(coins(row["credited_24h"], symbol)),
        markup.text(coins(row["unpaid"], symbol)),
        last,
        markup.age(row["told"].timestamp()),
    )


def coins(value: float | None, symbol: str) -> str:
    """An amount of a coin with five figures."""
    return quantity.DASH if value is None else f"{value:.5g} {symbol}".strip()


def _symbol(coin_id: str | None) -> str:
    return COINS[coin_id].symbol if coin_id in COINS else coin_id or ""
