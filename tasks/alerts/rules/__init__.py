"""The ready-made rules, by what they look at. A new rule is a few lines in one of these files."""

from tasks.alerts.rule import named
from tasks.alerts.rules.crowd import CROWDS
from tasks.alerts.rules.hosts import HOST_RULES
from tasks.alerts.rules.market import MARKET_RULES
from tasks.alerts.rules.miners import MINER_RULES
from tasks.alerts.rules.pipeline import PIPELINE_RULES
from tasks.alerts.rules.pools import POOL_RULES

RULES = named([*CROWDS, *MINER_RULES, *POOL_RULES, *MARKET_RULES, *PIPELINE_RULES, *HOST_RULES])
"""Every rule by name, in the order of documentation."""

__all__ = ["RULES"]
