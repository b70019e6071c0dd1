"""Abacus.AI: feature groups, nightly export, streaming, look-up."""
