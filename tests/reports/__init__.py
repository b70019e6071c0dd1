"""Reports of days and weeks."""
