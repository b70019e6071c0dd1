"""The warehouse as a Prefect step."""
