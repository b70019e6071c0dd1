"""Delivery: from the lanes of the spool to the sinks, in order, again and again until every point has its place."""
