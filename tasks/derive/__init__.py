"""What is worked out of records: pure functions, which take clock, prices and history as arguments."""
