"""Normalising units, identifiers and time. Pure functions; what cannot be read is None, never zero, never a guess."""
