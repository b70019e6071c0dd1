"""Prefect's part of the lake's upkeep; what it does is in storage/lake."""
