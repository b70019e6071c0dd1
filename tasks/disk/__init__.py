"""The disk budget as task runs."""
