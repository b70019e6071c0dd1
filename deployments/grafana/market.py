"""The dashboard of market and profit: prices, networks, indicators, and what mining brings and costs."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Dashboard, Panel, Row, Target, lines, newest, tag_values
from storage.declaration import Measurement
from storage.declaration.derived import FINANCIAL_METRICS, FINANCIAL_SUMMARY, FORECAST, FORECAST_SCORE
from storage.declaration.market import (
    DAILY_CLOSE,
    MARKET_DATA,
    MARKET_GLOBAL,
    MARKET_INDICATOR,
    MINING_PROFITABILITY,
    NETWORK_DATA,
)

_COIN = queries.chosen("coin_id", "coin")
_MINER = queries.chosen("miner_id", "miner")
_DAYS = queries.equal("time_period", "1d")
_FLEET = queries.equal("scope", "fleet")


def _of_coins(
    title: str, description: str, measurement: Measurement, interval: str, width: int, **name_of_field: str
) -> Panel:
    targets = [
        Target(
            queries.measured(measurement, "mean", field, ("coin_id", "source"), [_COIN]),
            f"$tag_coin_id $tag_source {name}",
        )
        for name, field in name_of_field.items()
    ]
    unit = measurement.field_by_name[next(iter(name_of_field.values()))].unit
    return lines(title, description, measurement, targets, unit, interval=interval, width=width)


def _of_fleet(title: str, description: str, **name_of_field: str) -> Panel:
    targets = [
        Target(queries.measured(FINANCIAL_SUMMARY, "mean", field, (), [_FLEET, _DAYS]), name.replace("_", " "))
        for name, field in name_of_field.items()
    ]
    unit = FINANCIAL_SUMMARY.field_by_name[next(iter(name_of_field.values()))].unit
    return lines(title, description, FINANCIAL_SUMMARY, targets, unit, interval="1d")


def _by_scope(title: str, description: str, scope: str) -> Panel:
    where = [queries.equal("scope", scope), _DAYS]
    target = Target(queries.measured(FINANCIAL_SUMMARY, "mean", "profit", ("key",), where), "$tag_key")
    return lines(title, description, FINANCIAL_SUMMARY, [target], "USD", interval="1d")


def _forecast(title: str, description: str, quantity: str, unit: str) -> Panel:
    where = [queries.equal("miner_id", "fleet"), queries.equal("quantity", quantity)]
    targets = [
        Target(queries.measured(FORECAST, "mean", field, ("model",), where), f"$tag_model {name}")
        for name, field in (("expected", "value"), ("low", "low"), ("high", "high"), ("day before again", "naive"))
    ]
    return lines(title, description, FORECAST, targets, unit, interval="1h")


_BOUNDS = (
    "Expected of the period that begins there, the bounds that most outcomes should lie in, and repeating the day."
)

MARKET = Dashboard(
    "market",
    "Lodeline market and profit",
    (
        tag_values("coin", "Coin", MARKET_DATA, "coin_id"),
        tag_values("miner", "Miner", FINANCIAL_METRICS, "miner_id"),
    ),
    (
        Row(
            "Prices and networks",
            (
                _of_coins("Price", "From each source, not mixed.", MARKET_DATA, "5m", 8, price="price_usd"),
                _of_coins(
                    "Change over 24 h",
                    "As the source tells it.",
                    MARKET_DATA,
                    "5m",
                    8,
                    change="price_change_24h_percent",
                ),
                _of_coins(
                    "Age of prices", "How old the source's value was when it came.", MARKET_DATA, "5m", 8, age="age_s"
                ),
                _of_coins(
                    "Network hashrate",
                    "Of all miners of the coin.",
                    NETWORK_DATA,
                    "15m",
                    8,
                    network="network_hashrate_hs",
                ),
                _of_coins("Difficulty", "Of the network.", NETWORK_DATA, "15m", 8, difficulty="network_difficulty"),
                _of_coins(
                    "Block reward",
                    "Subsidy of a block, in coins of each kind.",
                    NETWORK_DATA,
                    "15m",
                    8,
                    reward="block_reward",
                ),
                newest(
                    "Newest prices",
                    "Of each coin and source, with what is wrong with them.",
                    MARKET_DATA,
                    queries.newest_of_each(
                        MARKET_DATA,
                        (
                            "price_usd",
                            "price_change_24h_percent",
                            "volume_24h_usd",
                            "age_s",
                            "quality",
                            "quality_flags",
                        ),
                        [_COIN],
                    ),
                    ("price_usd", "price_change_24h_percent", "volume_24h_usd", "age_s", "quality"),
                    width=16,
                ),
                lines(
                    "The whole market",
                    "Capitalisation of all coins, by source.",
                    MARKET_GLOBAL,
                    [
                        Target(
                            queries.measured(MARKET_GLOBAL, "mean", "market_cap_usd", ("source",)),
                            "$tag_source capitalisation",
                        )
                    ],
                    "USD",
                    interval="15m",
                ),
            ),
        ),
        Row(
            "Indicators",
            (
                _of_coins("Daily closes", "Last price of each UTC day.", DAILY_CLOSE, "1d", 8, close="close_usd"),
                _of_coins(
                    "Moving averages",
                    "Of 50 and 200 daily closes; there is none until there are as many.",
                    MARKET_INDICATOR,
                    "1d",
                    8,
                    MA50="ma_50_usd",
                    MA200="ma_200_usd",
                ),
                _of_coins("RSI", "Relative strength index, Wilder, 14 days.", MARKET_INDICATOR, "1d", 8, RSI="rsi_14"),
                _of_coins(
                    "Volatility",
                    "Deviation of 30 daily log returns, annualised.",
                    MARKET_INDICATOR,
                    "1d",
                    8,
                    volatility="volatility_30d",
                ),
                _of_coins(
                    "Changes of the close",
                    "Against the close 7 and 30 days before.",
                    MARKET_INDICATOR,
                    "1d",
                    8,
                    week="change_7d_percent",
                    month="change_30d_percent",
                ),
                lines(
                    "Hashprice",
                    "What a TH/s earns in a day by difficulty, reward and price, before any cost of a miner.",
                    MINING_PROFITABILITY,
                    [
                        Target(
                            queries.measured(
                                MINING_PROFITABILITY, "mean", "usd_th_day", ("algorithm", "coins", "source")
                            ),
                            "$tag_algorithm $tag_coins $tag_source",
                        )
                    ],
                    "USD/TH/day",
                    interval="1h",
                ),
            ),
        ),
        Row(
            "Profit",
            (
                _of_fleet(
                    "Revenue, cost and profit",
                    "Of the fleet and UTC day: each sum is over the miners that it is known of.",
                    revenue="revenue",
                    cost="cost",
                    profit="profit",
                    electricity="electricity_cost",
                ),
                _of_fleet(
                    "Hashprice and hashcost",
                    "What a TH/s earned in the day, and what power it took for the work that counts.",
                    hashprice="hashprice_usd_th_day",
                    hashcost="hashcost_usd_th_day",
                ),
                _of_fleet(
                    "Break-even price of power",
                    "Price at which the day's revenue just pays for its power.",
                    break_even="break_even_usd_kwh",
                ),
                _by_scope("Profit by model", "Of the UTC day.", "model"),
                _by_scope("Profit by site", "Of the UTC day.", "site"),
                _of_fleet(
                    "Miners whose profit is known",
                    "Where the two differ, the sums are of a part of the fleet.",
                    miners="miners",
                    known="miners_known",
                ),
                _of_fleet("Energy", "Drawn by the fleet in the UTC day.", energy="energy_kwh"),
                _of_fleet("Return", "Profit so far over the purchase price.", return_so_far="roi_percent"),
                _of_fleet("Days to break even", "Until the purchase price is earned back.", days="break_even_days"),
                newest(
                    "Miners",
                    "Money of each miner's newest day in the span, with the reason where a value is missing.",
                    FINANCIAL_METRICS,
                    queries.newest_of_each(
                        FINANCIAL_METRICS,
                        (
                            *("revenue", "electricity_cost", "cost", "profit", "profit_cumulative", "energy_kwh"),
                            *("break_even_usd_kwh", "roi_percent", "break_even_days", "hours", "reason"),
                        ),
                        [_DAYS, _MINER],
                    ),
                    (
                        *("revenue", "electricity_cost", "cost", "profit", "profit_cumulative", "energy_kwh"),
                        *("break_even_usd_kwh", "roi_percent", "break_even_days", "hours"),
                    ),
                    width=24,
                ),
                lines(
                    "Profit of the chosen miners",
                    "Of the UTC day.",
                    FINANCIAL_METRICS,
                    [
                        Target(
                            queries.measured(FINANCIAL_METRICS, "mean", "profit", ("miner_id",), [_DAYS, _MINER]),
                            "$tag_miner_id",
                        )
                    ],
                    "USD",
                    interval="1d",
                    width=24,
                ),
            ),
        ),
        Row(
            "Forecasts of the fleet",
            (
                _forecast("Hashrate of the next 24 h", _BOUNDS, "next_24h_hashrate", "H/s"),
                _forecast("Revenue of the next 24 h", _BOUNDS, "next_24h_revenue", "USD"),
                _forecast("Profit of the next 7 days", _BOUNDS, "next_7d_profitability", "USD"),
                lines(
                    "How forecasts fared",
                    "Error over the error of repeating the day before; below 1 the forecast is better.",
                    FORECAST_SCORE,
                    [
                        Target(
                            queries.measured(
                                FORECAST_SCORE,
                                "mean",
                                "mase",
                                ("quantity", "model"),
                                [queries.equal("miner_id", "fleet")],
                            ),
                            "$tag_quantity $tag_model",
                        )
                    ],
                    "ratio",
                    interval="1h",
                    width=12,
                ),
                newest(
                    "Newest forecasts",
                    "Of each quantity, in the row's own unit, with the reason where there is none.",
                    FORECAST,
                    queries.newest_of_each(
                        FORECAST,
                        ("value", "low", "high", "unit", "level", "reason"),
                        [queries.equal("miner_id", "fleet")],
                    ),
                    ("level",),
                ),
            ),
        ),
    ),
    span="30d",
)
