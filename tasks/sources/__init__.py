"""Pools and markets as the shift that asks them sees them: requests with an interval, one account, one budget."""
