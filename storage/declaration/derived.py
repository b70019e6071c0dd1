"""R4 derived_metrics: what Lodeline works out of the other records."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, flag, gauge, level, state, text
from storage.declaration.measurement import Measurement

_MINER = (Tag("miner_id", "identity from the configuration"),)
_PERIOD = Tag("time_period", "1h, 1d or the period asked for")
_FORECAST = (
    Tag("miner_id", "identity from the configuration, or 'fleet'"),
    Tag("quantity", "next_24h_hashrate, next_24h_revenue, next_7d_profitability"),
    Tag("model", "forecasting model; none where there could be no forecast"),
)
_PREDICTION = (
    Tag("prediction", "its name in abacus_integration_config.yaml"),
    Tag("entity", "what it is of: the entity of the feature view, e.g. miner_id"),
    Tag("lead", "whole hours from the start of the batch to the time predicted, e.g. 24h"),
    Tag("model", "version of the model over there; unknown where the service does not say"),
)

OPERATIONAL_METRICS = Measurement(
    "operational_metrics",
    "R4",
    "how a miner worked in an hour or a day of UTC; its time is the start. Formulas: docs/derived-metrics.md",
    (*_MINER, _PERIOD),
    (
        gauge("hashrate_stability", "ratio", "1 - deviation / mean of the hashrate's means over 300 s, not below 0"),
        gauge("power_efficiency_j_th", "J/TH", "mean power / mean hashrate"),
        gauge("power_efficiency_j_mh", "J/MH", "the same, of Scrypt miners only"),
        gauge("thermal_efficiency", "ratio", "headroom of the hottest chip that is left: (100 - chip) / (100 - air)"),
        gauge("uptime_percentage", "percent", "time it answered / time it was polled and not paused"),
        gauge("hashing_uptime_percentage", "percent", "time it hashed / time it was polled and not paused"),
        gauge("planned_off_percentage", "percent", "time it was paused on purpose / time it was polled"),
        gauge("coverage_percentage", "percent", "time that is known of it, since it was polled / the period"),
        gauge("hashrate_expected_hs", "H/s", "hashrate of the preset, over the time that is told of", exact=True),
        gauge(
            "hashrate_lost_hs", "H/s", "expected and not made, or refused by the pool: sum of its causes", exact=True
        ),
        gauge("lost_unreachable_hs", "H/s", "part that was lost while nobody reached it", exact=True),
        gauge("lost_paused_hs", "H/s", "part that was lost while it was paused on purpose", exact=True),
        gauge("lost_pool_hs", "H/s", "part of dead pools and of shares refused or stale", exact=True),
        gauge("lost_board_hs", "H/s", "part of boards that failed or vanished", exact=True),
        gauge("lost_heat_hs", "H/s", "part that was lost while the chips were too hot, or cooled down", exact=True),
        gauge("lost_unknown_hs", "H/s", "part that nothing explains", exact=True),
        text("reason", "why a value is null, as field:reason, and what else touches the row; empty: nothing"),
    ),
    {Tier.RAW: "mining_operational"},
)

_MONEY = (
    gauge("revenue", "USD", "worth of the work that counts, net of devfee and pool fee", exact=True),
    gauge("fees", "USD", "pool fee, and devfee unless the pool told the work: already off the revenue", exact=True),
    gauge("electricity_cost", "USD", "energy x tariff", exact=True),
    gauge("cost", "USD", "electricity and other cost", exact=True),
    gauge("profit", "USD", "revenue - cost", exact=True),
    gauge("energy_kwh", "kWh", "energy drawn", exact=True),
    gauge("hashrate_paid_hs", "H/s", "mean hashrate of the work that counts, before the pool's fee", exact=True),
    gauge("hashprice_usd_th_day", "USD/TH/day", "what a TH/s earned by difficulty, reward and price alone", exact=True),
    gauge("hashcost_usd_th_day", "USD/TH/day", "electricity / work that counts", exact=True),
    gauge("break_even_usd_kwh", "USD/kWh", "price of power at which the revenue just pays for it", exact=True),
)

_RETURN = (
    gauge("roi_percent", "percent", "cumulative profit / purchase price; of days only", exact=True),
    gauge("break_even_days", "days", "days until the purchase price is earned back; 0: it is", exact=True),
    text("currency", "currency of the amounts"),
)

FINANCIAL_METRICS = Measurement(
    "financial_metrics",
    "R4",
    "money of a miner in an hour or a day of UTC; its time is the start. Formulas: docs/derived-metrics.md",
    (*_MINER, _PERIOD),
    (
        *_MONEY,
        gauge("profit_cumulative", "USD", "profit of all days so far that are known; of days only", exact=True),
        level("hours", "count", "hours of the period of which the profit is known"),
        *_RETURN,
        text("reason", "why a value is null or helped out, as field:reason, comma-separated; empty: nothing"),
    ),
    {Tier.RAW: "mining_financial"},
)

FINANCIAL_SUMMARY = Measurement(
    "financial_summary",
    "R4",
    "money of the fleet, a model or a site, the sum of its miners; of a pool what it credited for one of its days",
    (
        Tag("scope", "fleet, model, site or pool"),
        Tag("key", "which model, site or pool; 'fleet' of the fleet, '(no site)' of miners without one"),
        _PERIOD,
    ),
    (
        *_MONEY,
        level("miners", "count", "miners in it"),
        level("miners_known", "count", "those of which the profit is known; each sum is of the miners it is known of"),
        gauge("hashprice_realised_usd_th_day", "USD/TH/day", "credited / work that counts; of pools only", exact=True),
        gauge("realised_ratio", "ratio", "credited / what the network would have paid for it; of pools only"),
        *_RETURN,
        text("reason", "why a value is null; empty: nothing"),
    ),
    {Tier.RAW: "mining_financial"},
)

ANOMALY_SCORE = Measurement(
    "anomaly_score",
    "R4",
    "how odd a miner is, 0 to 1, with reasons",
    (*_MINER, _PERIOD),
    (
        gauge("hashrate", "ratio", "score of the hashrate"),
        gauge("temperature", "ratio", "score of the temperatures"),
        gauge("power", "ratio", "score of the power"),
        gauge("shares", "ratio", "score of the shares"),
        gauge("overall", "ratio", "scores combined"),
        flag("anomalous", "overall is above the alert threshold"),
        text("reasons", "what made the score"),
    ),
    {Tier.RAW: "mining_anomaly"},
)

FORECAST = Measurement(
    "forecast",
    "R4",
    "what is expected of a period; its time is the period's start, before which alone it looked. Never made again",
    _FORECAST,
    (
        gauge("value", "", "expected value, in the quantity's unit", exact=True),
        gauge("low", "", "lower bound of the interval", exact=True),
        gauge("high", "", "upper bound of the interval", exact=True),
        text("unit", "unit of the value"),
        gauge("level", "ratio", "part of such intervals that should hold what comes"),
        level("horizon_s", "s", "length of the period"),
        gauge("naive", "", "what repeating the day before would say", exact=True),
        gauge("naive_mae", "", "mean absolute error of that in the back-tests", exact=True),
        text("reason", "why a value or its bounds are null"),
    ),
    {Tier.RAW: "mining_operational"},
)

FORECAST_SCORE = Measurement(
    "forecast_score",
    "R4",
    "what became of a forecast, with its tags and its time; made again when late data comes",
    _FORECAST,
    (
        gauge("actual", "", "what came, in the quantity's unit", exact=True),
        gauge("error", "", "forecast - actual", exact=True),
        gauge("mase", "ratio", "|error| / naive_mae of the forecast; below 1 is better than repeating the day before"),
        gauge("naive_error", "", "naive - actual", exact=True),
        flag("inside", "actual lies within the bounds"),
        gauge("coverage", "ratio", "part of the period's hours that are known"),
        text("reason", "why a value is null; empty where none is"),
    ),
    {Tier.RAW: "mining_operational"},
)

PREDICTION = Measurement(
    "prediction",
    "R4",
    "what a deployment at Abacus.AI predicts of a feature; its time is the end of what is predicted. docs/abacus.md",
    _PREDICTION,
    (
        gauge("value", "", "predicted value", exact=True),
        gauge("low", "", "lower bound of the interval, where the deployment gives one", exact=True),
        gauge("high", "", "upper bound of the interval, where the deployment gives one", exact=True),
        text("unit", "unit of the value"),
        text("feature", "what is predicted: feature group and feature"),
        level("lead_s", "s", "from the start of the batch to the time predicted"),
        text("batch", "version of the batch prediction that said it"),
        text("reason", "why the value is null; empty where it is not"),
    ),
    {Tier.RAW: "mining_operational"},
)

PREDICTION_SCORE = Measurement(
    "prediction_score",
    "R4",
    "what became of a prediction, with its tags and its time; made again when late data comes",
    _PREDICTION,
    (
        gauge("actual", "", "what came, in the unit of the prediction", exact=True),
        gauge("error", "", "prediction - actual", exact=True),
        gauge("error_ratio", "ratio", "|error| / |actual|; null where the actual value is 0", exact=True),
        flag("inside", "actual lies within the bounds"),
        text("reason", "why a value is null; empty where none is"),
    ),
    {Tier.RAW: "mining_operational"},
)

OPTIMIZATION_OPPORTUNITY = Measurement(
    "optimization_opportunity",
    "R4",
    "something worth changing at a miner; a row when it is found, when it changes, and when it ends. docs/advice.md",
    (
        *_MINER,
        Tag("type", "rule that found it: fan, board, cooling, preset, throttle, pool, coin, merge_mining, worker"),
        Tag("subject", "which part, preset, pool or coin"),
    ),
    (
        text("description", "what to do"),
        gauge("potential_impact_usd_day", "USD/day", "gain per day; null where a price is missing", exact=True),
        gauge("confidence", "ratio", "0 to 1"),
        state("status", ("open", "taken", "refuted"), "what became of it"),
        text("evidence", "what was measured"),
        text("falsified_by", "what would show it wrong"),
        text("outcome", "how it ended; empty while it is open"),
    ),
    {Tier.RAW: "mining_operational"},
)
