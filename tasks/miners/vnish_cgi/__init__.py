"""The documented CGI dialect with HTTP Basic; see README.md beside this file."""

from tasks.miners.vnish_cgi.session import VnishCgi

__all__ = ["VnishCgi"]
