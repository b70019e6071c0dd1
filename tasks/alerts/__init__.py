"""Alerts: rules over what was collected, their life cycle, and who is told."""

LANE = "alerts"
"""Name of the watch's baton and files; nothing is spooled under it."""
