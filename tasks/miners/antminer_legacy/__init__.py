"""CGI scripts of the S9 era behind HTTP Digest; see README.md beside this file."""

from tasks.miners.antminer_legacy.session import AntminerLegacy

__all__ = ["AntminerLegacy"]
