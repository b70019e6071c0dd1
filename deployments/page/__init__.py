"""The live page: what the fleet does now, why, and how old every number is.

``quantity`` and ``model`` are pure; ``reading`` asks the store and the state files; ``*_view`` draw with NiceGUI;
``access`` keeps the door. Null is shown as a dash, never as 0.
"""
