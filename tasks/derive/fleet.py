"""What the configuration says of miners and of money, as deriving wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.derive.settings import EconomicsSettings, ElectricitySettings
from tasks.miners.settings import MinerSettings


@dataclass(frozen=True)
class Fleet:
    """``miners``: model and site by id. ``purchase_price_usd`` and ``devfee_percent`` (of those that do not tell it
    themselves) by id, where they are known."""

    miners: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    electricity: ElectricitySettings = ElectricitySettings()  # noqa: RUF009 - frozen
    economics: EconomicsSettings = EconomicsSettings()  # noqa: RUF009 - frozen
    purchase_price_usd: Mapping[str, float] = field(default_factory=dict)
    devfee_percent: Mapping[str, float] = field(default_factory=dict)

    def words(self) -> str:
        """All of it as a text: another one is another way of working things out."""
        return repr(self)


def fleet_of(miners: Sequence[MinerSettings], electricity: ElectricitySettings, economics: EconomicsSettings) -> Fleet:
    """The fleet that is configured; what a miner says of itself goes over what is said of its model."""
    prices: dict[str, float] = {}
    devfees: dict[str, float] = {}
    models = {one.model: one for one in economics.models}
    for miner in miners:
        model = models.get(miner.model)
        price = miner.purchase_price_usd
        if price is None and model is not None:
            price = model.purchase_price_usd
        if price is not None:
            prices[miner.id] = price
        fee = miner.devfee_percent
        if fee is None and model is not None:
            fee = model.devfee_percent
        devfees[miner.id] = economics.devfee_percent if fee is None else fee
    return Fleet({one.id: (one.model, one.site) for one in miners}, electricity, economics, prices, devfees)
