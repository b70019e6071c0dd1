"""What hashrate, revenue and profit will be: simple models in numpy, chosen by back-test, scored afterwards.

Formulas and what they reach on public data: docs/forecasts.md.
"""
