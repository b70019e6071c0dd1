"""Steps that keep the record of what is done to data."""
