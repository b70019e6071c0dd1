"""Answers of explorers, by their documented fields; figures of one instant that go together."""

from __future__ import annotations

from typing import Any

SLOT = 1_800_000_000

# 7.5e20 H/s is what 1.0477e14 needs for a block in 600 s: 1.0477e14 x 2^32 / 600
HASHRATE: dict[str, Any] = {
    "hashrates": [{"timestamp": SLOT - 86_400, "avgHashrate": 7.4e20}],
    "difficulty": [{"time": SLOT - 500_000, "height": 903_168, "difficulty": 1.0477e14, "adjustment": 1.01}],
    "currentHashrate": 750_000_000_000_000_000_000,
    "currentDifficulty": 104_770_000_000_000.5,
}
ADJUSTMENT: dict[str, Any] = {
    "progressPercent": 44.4, "difficultyChange": 0.98, "estimatedRetargetDate": SLOT * 1000 + 600_000_000,
    "remainingBlocks": 1_120, "remainingTime": 665_977_627, "previousRetarget": -4.8, "previousTime": SLOT - 500_000,
    "nextRetargetHeight": 905_184, "timeAvg": 594_500, "adjustedTimeAvg": 594_500, "timeOffset": 0,
    "expectedBlocks": 888.5,
}  # fmt: skip
STATS: dict[str, Any] = {
    "timestamp": (SLOT - 90) * 1000, "market_price_usd": 67_000.5, "hash_rate": 748_000_000_000.5,  # GH/s
    "difficulty": 104_770_000_000_000, "minutes_between_blocks": 9.9, "n_blocks_total": 904_064, "n_blocks_mined": 146,
    "n_btc_mined": 45_625_000_000, "total_fees_btc": 1_500_000_000, "totalbc": 1_987_000_000_000_000,
    "miners_revenue_usd": 30_000_000.0, "miners_revenue_btc": 460.25, "nextretarget": 905_183,
}  # fmt: skip
# as the explorer's own documentation prints it
CHAINS: dict[str, Any] = {
    "LTC": {"height": 2_396_260, "hash_rate": 648_533_943_117_000, "difficulty": 20_785_580.478287995, "subsidy": 12.5,
            "fee": 0.01},
    "DOGE": {"height": 4_535_804, "hash_rate": 623_534_500_417_000, "difficulty": 6_445_323.531315216,
             "subsidy": 10_000, "fee": 0.01},
}  # fmt: skip
ASIC: dict[str, Any] = {
    "coins": {
        "Nicehash-Scrypt": {"id": 161, "tag": "NICEHASH", "algorithm": "Scrypt", "block_time": 1, "block_reward": 1,
                            "nethash": 1, "difficulty": 1, "timestamp": SLOT - 60},
        "Bitcoin": {"id": 1, "tag": "BTC", "algorithm": "SHA-256", "block_time": "597.5", "block_reward": 3.16,
                    "block_reward24": 3.15, "last_block": 904_064, "difficulty": 1.0477e14, "difficulty24": 1.0477e14,
                    "nethash": 753_000_000_000_000_000_000, "exchange_rate": 67_000.5, "exchange_rate_curr": "USDT",
                    "market_cap": "$1,329,876,804,032", "estimated_rewards": "0.0000005", "timestamp": SLOT - 60},
        "Litecoin": {"id": 4, "tag": "LTC", "algorithm": "Scrypt", "block_time": "150.0", "block_reward": "12.5",
                     "last_block": "2396261", "difficulty": "20785580.478", "nethash": "595,000,000,000,000",
                     "timestamp": SLOT - 120},
        "Litecoin (fork)": {"id": 999, "tag": "LTC", "algorithm": "X11", "block_time": "60", "block_reward": 1,
                            "nethash": 5, "difficulty": 5, "timestamp": SLOT - 120},
        "Dogecoin": {"id": 6, "tag": "DOGE", "algorithm": "Scrypt", "block_time": "62.0", "block_reward": 10_000.0,
                     "last_block": 4_535_804, "difficulty": 6_500_000.5, "nethash": 0, "timestamp": SLOT - 60},
    }
}  # fmt: skip
MINERSTAT: list[dict[str, Any]] = [
    {"id": "a", "coin": "BTC", "name": "Bitcoin", "type": "coin", "algorithm": "SHA-256",
     "network_hashrate": 751_000_000_000_000_000_000, "difficulty": 104_770_000_000_000, "reward": 3.0e-22,
     "reward_unit": "BTC", "reward_block": 3.125, "price": 67_000.5, "volume": 1.0e10, "updated": SLOT - 30},
    {"id": "b", "coin": "LTC", "name": "Litecoin", "type": "coin", "algorithm": "Scrypt", "network_hashrate": -1,
     "difficulty": -1, "reward": -1, "reward_unit": "LTC", "reward_block": -1, "price": -1, "volume": -1,
     "updated": SLOT - 30},
    {"id": "c", "coin": "BTC", "name": "a pool", "type": "pool", "algorithm": "SHA-256", "network_hashrate": -1,
     "difficulty": -1, "reward": 1.0e-22, "reward_unit": "BTC", "reward_block": -1, "price": -1, "volume": -1,
     "updated": SLOT - 30},
]  # fmt: skip
