"""Kept answers are as old as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.sources.cache import AnswerCache


def test_an_answer_is_fresh_for_its_time_and_known_after_it(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    cache = AnswerCache(tmp_path, "some")
    assert cache.take("prices", 60, now) is None
    cache.keep("prices", {"bitcoin": 1}, int(now * 1000))
    now += 60
    kept = AnswerCache(tmp_path, "some").take("prices", 60, now)  # another process finds it
    assert kept is not None
    assert kept.data == {"bitcoin": 1}
    now += 1
    assert cache.take("prices", 60, now) is None
    newest = cache.newest("prices")
    assert newest is not None
    assert now - newest.received_ms / 1000 == 61
    assert cache.take("others", 1e9, now) is None


def test_an_answer_from_the_future_is_not_fresh(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    cache = AnswerCache(tmp_path, "some")
    cache.keep("prices", [], int((now + 3_600) * 1000))
    assert cache.take("prices", 60, now) is None


def test_a_torn_file_is_no_answer(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path, "some")
    cache.keep("prices", [1], 0)
    (path,) = (tmp_path / "some").iterdir()
    path.write_bytes(path.read_bytes()[:-2])
    assert cache.newest("prices") is None


def test_an_answer_that_cannot_be_kept_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "some").write_text("a file where the folder should be")
    AnswerCache(tmp_path, "some").keep("prices", [], 1)
    assert "cannot be kept" in caplog.text
