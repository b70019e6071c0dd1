"""Tests of tasks.derive.source_quality."""
