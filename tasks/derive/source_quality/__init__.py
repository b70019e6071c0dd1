"""How good the data of each source is, by day of UTC: complete, timely, accurate, in agreement with the others."""
