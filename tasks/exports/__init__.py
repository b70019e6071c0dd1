"""Stored series as files for others: any measurement, or miners hour by hour, with what the columns mean."""
