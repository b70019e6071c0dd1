"""Miners of other makers through the library pyasic-rs, an extra; see README.md beside this file."""

from tasks.miners.asic_rs.session import AsicRs

__all__ = ["AsicRs"]
