"""Feature store: publication as a task run; drift of features, pure (drift.py) and measured every day (drifting.py)."""
