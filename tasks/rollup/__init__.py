"""Prefect's part of the roll-up; what it does is in storage/downsample."""
