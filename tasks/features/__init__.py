"""Feature store: publication as a task run."""
