"""The core imports and the command line answers with every package of the extras out of reach."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED_AS = {"pyasic-rs": "pyasic_rs", "prefect-dask": "prefect_dask"}
EXTRAS = {
    IMPORTED_AS.get(name := re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0], name)
    for texts in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].values()
    for text in texts
}

CORE = (
    "deployments.command",
    "deployments.settings",
    "tasks.health.status",
    "storage.delivery.delivery",
    "storage.downsample.touch",
    "storage.influx.sink",
    "storage.line_protocol",
    "storage.opening",
    "storage.spool.lane",
    "tasks.collection_settings",
    "tasks.miners.collection",
    "tasks.miners.fleet",
)
"""What a host needs that only polls miners and sends to InfluxDB."""

_WITHOUT_EXTRAS = """
import importlib, sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {extras}:
            raise ModuleNotFoundError(f"{{name}} is an extra", name=name)

sys.meta_path.insert(0, OutOfReach())
sys.path.insert(0, {root!r})
"""


_IMPORT_EACH = """
import traceback
for module in {modules}:
    try:
        importlib.import_module(module)
    except ImportError:
        print(module, traceback.format_exc())
"""


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    program = _WITHOUT_EXTRAS.format(extras=sorted(EXTRAS), root=str(ROOT)) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_extras_are_out_of_reach() -> None:
    done = run_without_extras("import duckdb")
    assert "duckdb is an extra" in done.stderr


def test_the_core_imports_without_extras() -> None:
    assert [module for module in CORE if find_spec(module) is None] == []
    done = run_without_extras(_IMPORT_EACH.format(modules=CORE))
    assert done.stdout == "", done.stdout
    assert done.returncode == 0, done.stderr


def test_the_command_line_answers_without_extras() -> None:
    done = run_without_extras("import deployments.command as c; sys.argv = ['lodeline', '--help']; c.main()")
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ["prefect", "pydantic", "httpx", "numpy", "influxdb_client", *EXTRAS]
    code = f"import deployments.command; print([name for name in {heavy} if name in sys.modules])"
    done = run_without_extras(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
