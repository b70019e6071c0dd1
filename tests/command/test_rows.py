"""Figures of a table for people."""

import pytest

from deployments.command.rows import in_figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (9.476845339e13, "94.76845339e12"),  # 94.8 TH/s
        (9.5e9, "9.5e9"),
        (1e12, "1e12"),
        (-2.5e13, "-25e12"),
        (9_999_999.0, "9999999"),
        (0.1 + 0.2, "0.3"),
        (0.0, "0"),
        (float("nan"), "nan"),
    ],
)
def test_a_hashrate_is_read_by_its_prefix(value: float, shown: str) -> None:
    assert in_figures(value) == shown
