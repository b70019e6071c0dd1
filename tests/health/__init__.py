"""How the pipeline tells of itself."""
