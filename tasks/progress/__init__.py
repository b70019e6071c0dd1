"""How far the long flows are, as artifacts of Prefect."""
