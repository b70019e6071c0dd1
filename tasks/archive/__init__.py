"""The weekly archive: which tables, in how many jobs, and who is told."""
