"""InfluxDB 1.x, 2.x and 3.x: one way to write and one way to read all three (docs/decisions)."""
