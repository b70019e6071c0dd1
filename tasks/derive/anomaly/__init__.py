"""How odd a miner is: tests against its own history and against its peers, and how they become scores from 0 to 1.

Pure numpy over a whole fleet at once: rows are miners, columns are times, NaN is *not known*. No clock, no I/O.
"""
