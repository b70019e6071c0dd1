"""The audit trail: what was done to stored data and to the configuration, by whom, in a chain that shows a change."""
