"""The drivers there are. A new firmware is one room beside this file and one line here."""

from __future__ import annotations

from tasks.miners.antminer_legacy import AntminerLegacy
from tasks.miners.antminer_stock import AntminerStock
from tasks.miners.asic_rs import AsicRs
from tasks.miners.auto import Auto
from tasks.miners.cgminer_socket import CgminerSocket
from tasks.miners.driver import MinerDriver
from tasks.miners.vnish_cgi import VnishCgi
from tasks.miners.vnish_rest import VnishRest

_KNOWN: dict[str, MinerDriver] = {
    driver.name: driver
    for driver in (VnishRest(), VnishCgi(), AntminerStock(), AntminerLegacy(), CgminerSocket(), AsicRs())
}

DRIVERS: dict[str, MinerDriver] = {**_KNOWN, "auto": Auto(_KNOWN)}
