"""A farm of one miner of each of two dialects, whose clock stands still, and a stock client."""

from __future__ import annotations

import httpx
import pytest

from deployments.farm import Farm
from tests.farm.clock import ONE_OF_EACH, Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def farm(clock):
    async with Farm(2, port=0, clock=clock, mix=ONE_OF_EACH) as farm:
        yield farm


@pytest.fixture
async def client():
    async with httpx.AsyncClient(timeout=httpx.Timeout(5, read=0.3)) as client:
        yield client
