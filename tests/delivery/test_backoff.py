from __future__ import annotations

import pytest

from storage.delivery.backoff import Backoff


def test_waits_double_to_a_minute_and_begin_anew_after_a_success():
    backoff = Backoff(lambda: 0.5)
    assert [backoff.failed() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.succeeded()
    assert backoff.failed() == 0.5


def test_jitter_is_full():
    assert Backoff(lambda: 0.0).failed() == 0.0
    late = Backoff(lambda: 0.999)
    assert max(late.failed() for _ in range(2000)) == pytest.approx(59.94)


@pytest.mark.parametrize(("asked", "wait"), [(None, 0.5), (0, 0.5), (-3, 0.5), (7.5, 7.5), (600, 600), (86_400, 600)])
def test_retry_after_is_honoured_up_to_ten_minutes(asked, wait):
    assert Backoff(lambda: 0.5).failed(asked) == wait
