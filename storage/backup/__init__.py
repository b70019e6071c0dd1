"""Copies of a host's data that can be begun from: made while it collects, checked by their hashes, put back whole.

A backup folder holds sets, ``<time>/``, each complete by itself: ``manifest.json`` (manifest.py) and the tree
``data/``, laid out as the data directory. A file that did not change since the set before is a hard link to that set's,
so a set costs what is new, and any of them may be deleted. moment.py says why a set that is put back loses and doubles
nothing.
"""
