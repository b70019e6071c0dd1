"""How Lodeline is run: settings, command line, page, simulated farm, Grafana, work pools. Imported by none."""
