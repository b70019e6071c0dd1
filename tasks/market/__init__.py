"""Market data: one file per provider."""
