"""Where data lives: declaration, frames, spool, sinks, stores, tiers. Imports nothing of the layers above."""
