"""A shift: one long-lived run that ticks at aligned times and hands over to the next without a gap. No Prefect here."""
