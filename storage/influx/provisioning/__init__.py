"""Buckets (2.x) or databases (1.x, 3.x), mappings and accesses as declared: what shall be, what is, and the steps."""
