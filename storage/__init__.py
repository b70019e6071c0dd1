"""Where data lives: the declaration, frames, spool, sinks, stores, tiers. Imports nothing of tasks, flows or deployments."""
