"""How sources that fail are asked again."""
