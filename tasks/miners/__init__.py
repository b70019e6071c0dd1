"""Miners: drivers by firmware, and the poll of a whole fleet."""
