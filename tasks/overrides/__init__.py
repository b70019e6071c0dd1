"""What somebody has set by hand, or a response of Lodeline, for a while: docs/operations.md."""
