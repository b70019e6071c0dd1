"""A game day: the running product, one mishap after another, what it notices, and proof that nothing was lost."""
