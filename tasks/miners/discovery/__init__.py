"""Finding miners: which addresses to ask (ranges.py), who answers (scan.py), and a configuration of it (draft.py)."""

from __future__ import annotations
