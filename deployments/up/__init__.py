"""``lodeline up``: all processes of the main job on one machine, started, watched and ended in order."""
