"""A disk that gets full in the middle of a record: refused clearly, nothing accepted is touched, and it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from storage.spool.lane import LaneReader

FILL = """
import json, os, pathlib, resource, sys
from storage.errors import NeedsHuman
from storage.spool.lane import Lane
from storage.spool.segment import segments_of
from tests.spool.batches import numbered

root, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
ballast = root / "ballast"
ballast.write_bytes(b"x" * 20_000)
lane = Lane.open(root, "miners", cap_bytes=10**9)
if kind == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
accepted = []
try:
    while len(accepted) < 2_000:
        accepted.append(lane.append(numbered(len(accepted) + 1, 40)).sequence)
    raise SystemExit("the disk never got full")
except NeedsHuman as error:
    message = str(error)
segment = segments_of(root / "miners")[-1].path
size = segment.stat().st_size
refused_again = 0
try:
    lane.append(numbered(len(accepted) + 1, 40))
except NeedsHuman:
    refused_again = 1
still = segment.stat().st_size
if kind == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ballast.unlink()
after = lane.append(numbered(len(accepted) + 1, 40)).sequence
lane.close()
from storage.spool.lane import LaneReader
read = [r.batch.batch_id for r in LaneReader(root / "miners").records_after(0, 10**9)]
print(json.dumps(dict(accepted=accepted, message=message, size=size, still=still, refused_again=refused_again,
                      after=after, read=read)))
"""


@pytest.mark.parametrize("kind", ["limit", "tmpfs"])
def test_a_full_disk_is_refused_clearly_and_writing_goes_on_when_there_is_room(tmp_path, kind):
    command = [sys.executable, "-c", FILL, str(tmp_path), kind]
    if kind == "tmpfs":
        if not _may_mount(tmp_path):
            pytest.skip("no user namespaces here: a real full file system cannot be made without root")
        mounted = 'mount -t tmpfs -o size=128k none "$4" && exec "$@"'
        command = ["unshare", "-Urm", "sh", "-c", mounted, "sh", *command]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    count = len(told["accepted"])
    assert count > 10
    assert told["accepted"] == list(range(1, count + 1))
    assert "no room to write" in told["message"]
    assert f"Free space on the volume of {tmp_path / 'miners'}" in told["message"]
    assert told["refused_again"] == 1
    assert told["size"] == told["still"]
    assert told["after"] == count + 1
    assert told["read"] == [f"b{n}" for n in range(1, count + 2)]
    if kind == "limit":
        assert LaneReader(tmp_path / "miners").last_sequence == count + 1


def _may_mount(path) -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "-Urm", "mount", "-t", "tmpfs", "-o", "size=128k", "none", str(path)]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0
