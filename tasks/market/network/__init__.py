"""Explorers: what a coin's network is doing, from services that watch it."""
