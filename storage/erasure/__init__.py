"""Secure deletion: an entity and a range out of every place that may hold them, with proof. docs/governance.md."""
