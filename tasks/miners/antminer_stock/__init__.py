"""Stock firmware with CGI scripts behind HTTP Digest; see README.md beside this file."""

from tasks.miners.antminer_stock.session import AntminerStock

__all__ = ["AntminerStock"]
