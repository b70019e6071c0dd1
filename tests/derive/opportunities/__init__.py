"""Advice: rules, what becomes of it, and what it is made of."""
