"""Alerts: their life, who is told, and every rule."""
