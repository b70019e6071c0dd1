"""Mining pools: one room per pool."""
