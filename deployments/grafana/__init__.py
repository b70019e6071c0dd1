"""Grafana over InfluxDB: datasources, dashboards generated from the declaration, and the lint that holds them to it."""
