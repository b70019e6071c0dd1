"""A case is a folder of testcases/: the files, ``environ`` (NAME=value lines), and the faults to be told."""

from pathlib import Path

import pytest

from deployments.settings import load_settings
from storage.errors import ConfigurationError

CASES = sorted(case for case in (Path(__file__).parent / "testcases").iterdir() if case.is_dir())


def environ_of(case: Path) -> dict[str, str]:
    file = case / "environ"
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_fault_is_told_with_its_place(case: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(case, environ_of(case))
    told = "".join(f"{fault}\n" for fault in caught.value.faults).replace(f"{case}/", "")
    assert told == (case / "expected.txt").read_text()
    assert "hunter2" not in told
    assert "topsecret" not in told
