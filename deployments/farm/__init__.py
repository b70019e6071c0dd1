"""Simulated farm: miners on loopback addresses with known truth, for ``lodeline up`` without hardware and for tests."""

from deployments.farm.farm import DEFAULT_PORT, FIRST_ADDRESS, Farm, variants
from deployments.farm.faults import FAULT_KINDS, Fault, FaultKind
from deployments.farm.identity import Identity
from deployments.farm.listener import FarmError
from deployments.farm.models import ALL_VARIANTS, DEFAULT_MIX, MODELS, Variant
from deployments.farm.truth import BoardTruth, FanTruth, FleetTruth, PoolTruth, Truth

__all__ = [
    "ALL_VARIANTS",
    "DEFAULT_MIX",
    "DEFAULT_PORT",
    "FAULT_KINDS",
    "FIRST_ADDRESS",
    "MODELS",
    "BoardTruth",
    "FanTruth",
    "Farm",
    "FarmError",
    "Fault",
    "FaultKind",
    "FleetTruth",
    "Identity",
    "PoolTruth",
    "Truth",
    "Variant",
    "variants",
]
