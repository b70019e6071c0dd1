"""Kept answers of miners read again by the drivers of today; needs the extra [lake]. See docs/lineage.md."""
