"""The steps: one room per concern. Imports storage; Prefect only in each room's ``steps.py``."""
