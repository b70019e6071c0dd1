"""Log files by day: closing, compressing, deleting by age; also with several processes at one file."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from storage import log_files
from storage.log_files import SETTLED_S, DailyHandler, Swept, close_log_in_use, sweep_logs
from storage.retention_settings import RetentionSettings
from tasks.shift import log

DAY_S = 86_400
NOON = 1795521600  # 2026-11-24T12:00Z
TODAY, YESTERDAY = "2026-11-24", "2026-11-23"


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[DailyHandler]:
    one = DailyHandler(tmp_path / "flow.log", encoding="utf-8")
    yield one
    one.close()


def emit(handler: DailyHandler, text: str, at: float) -> None:
    record = logging.LogRecord("tasks", logging.INFO, "", 0, text, (), None)
    record.created = at
    handler.emit(record)
    handler.flush()
    os.utime(handler.baseFilename, (at, at))


def contents(folder: Path) -> dict[str, str]:
    return {
        path.name: gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        for path in folder.glob("*.log*")
    }


def sweep(folder: Path, now: float, **others: int | bool) -> Swept:
    wanted = {"info_days": 30, "error_days": 90, "info_gzip": True, "error_gzip": True, **others}
    return sweep_logs(folder, now, **wanted)  # type: ignore[arg-type]


def settle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files here are of now; let the sweep take them for settled."""
    monkeypatch.setattr(log_files, "SETTLED_S", -1e12)


def test_a_day_is_closed_by_the_first_line_of_the_next(tmp_path: Path, handler: DailyHandler) -> None:
    emit(handler, "one", NOON - DAY_S)
    emit(handler, "two", NOON - DAY_S / 2 - 1)
    emit(handler, "three", NOON - DAY_S / 2)
    emit(handler, "four", NOON)
    assert contents(tmp_path) == {f"flow.{YESTERDAY}.log": "one\ntwo\n", "flow.log": "three\nfour\n"}


def test_a_storm_is_closed_by_size(tmp_path: Path, handler: DailyHandler, monkeypatch) -> None:
    monkeypatch.setattr(log_files, "MOST_BYTES", 10)
    for number in range(6):
        emit(handler, f"line {number}", NOON)
    assert sorted(contents(tmp_path)) == ["flow.2026-11-24.2.log", "flow.2026-11-24.log", "flow.log"]
    assert sorted("".join(contents(tmp_path).values()).splitlines()) == [f"line {number}" for number in range(6)]


_WRITER = """
import logging, sys, time
from pathlib import Path
from storage import log_files
log_files.MOST_BYTES = 500
handler = log_files.DailyHandler(sys.argv[1], encoding="utf-8")
logger = logging.getLogger("tasks"); logger.addHandler(handler); logger.setLevel("INFO")
print("ready", flush=True); sys.stdin.readline()
for number in range(500):
    logger.info("%s %d", sys.argv[2], number)
"""


def test_processes_that_close_one_file_at_once_lose_no_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "flow.log")]
    with ExitStack() as ended:
        writers = [
            ended.enter_context(subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for name in "abc"
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"go\n")
            writer.stdin.close()
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = "".join(contents(tmp_path).values()).splitlines()
    assert sorted(lines) == sorted(f"{name} {number}" for name in "abc" for number in range(500))
    assert len(contents(tmp_path)) >= 8


def test_who_comes_second_closes_nothing(tmp_path: Path, handler: DailyHandler) -> None:
    emit(handler, "one", NOON - DAY_S)
    seen = (tmp_path / "flow.log").stat().st_ino
    emit(handler, "two", NOON)
    log_files._close(tmp_path / "flow.log", seen)
    assert contents(tmp_path) == {f"flow.{YESTERDAY}.log": "one\n", "flow.log": "two\n"}


def test_closed_files_are_compressed_and_nothing_is_lost(tmp_path: Path, handler: DailyHandler, monkeypatch) -> None:
    emit(handler, "one", NOON - DAY_S)
    emit(handler, "two", NOON)
    assert sweep(tmp_path, time.time()) == Swept(), f"within {SETTLED_S} s a process may have a line left for it"
    settle(tmp_path, monkeypatch)
    assert sweep(tmp_path, NOON) == Swept(compressed=1)
    assert contents(tmp_path) == {f"flow.{YESTERDAY}.log.gz": "one\n", "flow.log": "two\n"}
    assert sweep(tmp_path, NOON) == Swept()
    emit(handler, "late", NOON - DAY_S)  # its clock was stepped back
    emit(handler, "three", NOON)
    assert sweep(tmp_path, NOON) == Swept(compressed=1)
    assert "two\nlate\n" in contents(tmp_path).values(), "a name that is taken gets a number"


def test_a_sweep_killed_in_between_is_done_again(tmp_path: Path, handler: DailyHandler, monkeypatch) -> None:
    emit(handler, "one", NOON - DAY_S)
    emit(handler, "two", NOON)
    settle(tmp_path, monkeypatch)
    rename: Callable[..., Path] = Path.replace

    def killed(path: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, NOON)
    monkeypatch.setattr(Path, "replace", rename)
    assert sweep(tmp_path, NOON) == Swept(compressed=1)
    assert contents(tmp_path) == {f"flow.{YESTERDAY}.log.gz": "one\n", "flow.log": "two\n"}


@pytest.mark.parametrize(
    ("key", "name"),
    [("info_logs", "flow"), ("error_logs", "flow.errors")],
)
def test_days_of_the_configuration_decide_what_is_deleted(key, name, tmp_path: Path) -> None:
    settings = RetentionSettings.model_validate({"system_data": {"logs": {key: {"retention_days": 3}}}})
    logs = settings.system_data.logs
    for other in ("flow", "flow.errors"):
        for days in range(6):
            day = time.strftime("%Y-%m-%d", time.gmtime(NOON - days * DAY_S))
            (tmp_path / f"{other}.{day}.log.gz").write_bytes(gzip.compress(b"x"))
    done = sweep_logs(
        tmp_path,
        NOON,
        info_days=logs.info_logs.retention_days,
        error_days=logs.error_logs.retention_days,
        info_gzip=True,
        error_gzip=True,
    )
    assert done == Swept(deleted=2)
    left = {path.name for path in tmp_path.glob(f"{name}.2*")}
    assert left == {f"{name}.2026-11-{day}.log.gz" for day in (21, 22, 23, 24)}, "three whole days before today"
    assert len(list(tmp_path.glob("*.gz"))) == 10


def test_without_compression_files_stay_as_they_are(tmp_path: Path, handler: DailyHandler, monkeypatch) -> None:
    settle(tmp_path, monkeypatch)
    emit(handler, "one", NOON - DAY_S)
    emit(handler, "two", NOON)
    (tmp_path / f"flow.errors.{YESTERDAY}.log").write_text("error\n")
    assert sweep(tmp_path, NOON, info_gzip=False) == Swept(compressed=1)
    assert set(contents(tmp_path)) == {f"flow.{YESTERDAY}.log", "flow.log", f"flow.errors.{YESTERDAY}.log.gz"}
    assert sweep(tmp_path, NOON, info_gzip=False, error_gzip=False) == Swept()


def test_an_old_file_that_may_be_open_is_emptied_and_not_deleted(tmp_path: Path, handler: DailyHandler) -> None:
    emit(handler, "old", NOON - 40 * DAY_S)
    assert sweep(tmp_path, NOON) == Swept(emptied=1)
    emit(handler, "new", NOON)
    assert contents(tmp_path) == {"flow.log": "new\n"}


def test_a_file_that_another_program_has_open(tmp_path: Path) -> None:
    with (tmp_path / "page.log").open("ab", buffering=0) as printed:
        printed.write(b"one\n")
        close_log_in_use(tmp_path / "page.log", NOON)
        printed.write(b"two\n")
    assert contents(tmp_path) == {f"page.{TODAY}.log": "one\n", "page.log": "two\n"}


def test_errors_are_kept_apart_and_told_in_the_common_log_too(tmp_path: Path) -> None:
    logger = logging.getLogger("tasks")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in log.LOGGERS}
    try:
        log.log_to(tmp_path / "logs" / "flow.log", "INFO")
        logger.debug("a detail")
        logger.info("a word")
        logger.error("a mistake")
        found = contents(tmp_path / "logs")
        assert [line.rpartition(": ")[2] for line in found["flow.log"].splitlines()] == ["a word", "a mistake"]
        assert [line.rpartition(": ")[2] for line in found["flow.errors.log"].splitlines()] == ["a mistake"]
    finally:
        for name, (handlers, level) in before.items():
            one = logging.getLogger(name)
            for added in set(one.handlers) - set(handlers):
                one.removeHandler(added)
                added.close()
            one.setLevel(level)
