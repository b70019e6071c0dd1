"""What the embedded store promises of a lake on a disk, of one on an object store: the very same tests."""

from __future__ import annotations

import pytest

from storage.declaration import Tier
from storage.lake.store import EmbeddedStore
from tests.lake import test_replacement, test_store
from tests.lake.rows import FAN, NOON, fan_frame

SHARED = [
    test
    for module in (test_store, test_replacement)
    for name, test in vars(module).items()
    if name.startswith("test_") and "tmp_path" not in test.__code__.co_varnames
]
globals().update({test.__name__: test for test in SHARED})


@pytest.fixture
def store(root):
    store = EmbeddedStore(root)
    yield store
    store.close()


def test_most_of_the_tests_are_shared():
    assert len(SHARED) > 20


def test_small_files_are_asked_for_once(root, proxy, root_by_proxy):
    writer = EmbeddedStore(root)
    for at in range(3):
        writer.write([fan_frame([(NOON + at, "a", at)])])
    writer.close()
    reader = EmbeddedStore(root_by_proxy)
    for _ in range(2):
        assert reader.read(FAN, Tier.RAW, 0, 2 * NOON)["speed_rpm"].to_pylist() == [0, 1, 2]
    reader.close()
    assert len([1 for method, path, _ in proxy.asked if method == "GET" and path.endswith(".parquet")]) == 3
