"""How far long work is."""
