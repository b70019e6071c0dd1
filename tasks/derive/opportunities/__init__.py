"""What is worth changing at a miner, from measured data, with impact, confidence, evidence and what would falsify it.

A rule is a file here with one ``RULE``, and a line in rules.py. docs/advice.md tells the formulas of all.
"""
