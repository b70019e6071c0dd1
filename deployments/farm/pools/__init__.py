"""Simulated mining pools, over loopback."""
