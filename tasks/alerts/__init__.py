"""Alerts: rules over what was collected, their life cycle, and who is told."""
