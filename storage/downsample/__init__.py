"""Raw to hourly to daily: exact, restartable, redone for late data; the same code for every store."""
