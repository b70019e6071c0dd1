"""The lake: Delta tables on local disk, written so that nothing acknowledged is ever lost, read by DuckDB."""
