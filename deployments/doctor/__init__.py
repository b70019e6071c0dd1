"""Everything that a set-up can get wrong, looked at, each with what to do about it: ``lodeline doctor``."""
