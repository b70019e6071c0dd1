"""Exports of stored series."""
