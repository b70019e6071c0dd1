"""How the pipeline itself stands."""
