"""A damaged object is named and taken out of its table as a damaged file is; its bytes are copied down before."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from storage.damaged.case import Case
from storage.damaged.setting_aside import Damage
from storage.downsample.run import DECLARED_DAYS
from storage.lake.object_store import ObjectLocation
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from tests.lake.rows import NOON, live_paths, stored_rows, tick


def opened(root: ObjectLocation, data: Path) -> Damage:
    return Damage(data, "host", root, EmbeddedStore(root), None, DECLARED_DAYS)


@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_a_damaged_object_is_taken_out(root: ObjectLocation, tmp_path: Path, how: str) -> None:
    sink = LakeSink(root, "host")
    for sequence in (1, 2):
        sink.deliver([tick(sequence)])
    path = live_paths(root)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "missing":
        path.unlink()
    else:
        path.write_buffer(pa.py_buffer(bytes(content)))
    troubles: list[str] = []
    found = list(opened(root, tmp_path).search("miner_fan", None, None, troubles))
    (case,) = (case for case in found if isinstance(case, Case))
    assert (len(found), troubles, case.path, case.rows) == (2, [], str(path), 3)
    live = opened(root, tmp_path).live(str(path))
    assert live is not None
    done = opened(root, tmp_path).set_aside(live, case, why="", actor="test", now=NOON)
    assert (done.copy is None) == (how == "missing")
    assert done.copy is None or done.copy.read_bytes() == bytes(content)
    assert len(stored_rows(root)) == 3
    assert opened(root, tmp_path).finish(str(path), why="", actor="test")[0] == case
