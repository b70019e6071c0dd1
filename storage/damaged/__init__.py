"""Damaged files of the lake and of the archive: found, and taken out of their tables where no whole copy can be had."""
