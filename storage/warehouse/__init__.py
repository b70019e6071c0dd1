"""The warehouse: a star schema over what the tiers hold, in Delta tables under ``<lake>/warehouse``."""
