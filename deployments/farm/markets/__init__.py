"""Simulated providers of prices, over loopback."""
