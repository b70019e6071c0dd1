"""From a stored point back to where it came from; needs the extra [lake]. See docs/lineage.md."""
