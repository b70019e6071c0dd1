"""How each command line of the documents is run by a test. A new line in a document needs one of these ways:

1. Nothing to do: ``lodeline ...`` that works as it stands on the host of tests/docs/host.py and exits with 0.
2. A placeholder of the page (``ID``, ``DIR``, ``...``) gets a value in STAND_INS.
3. It changes what is stored: a pattern in CHANGES gives it a copy of the host.
4. It exits with 1 there, rightly: EXIT_CODES says why.
5. It needs a server, runs for ever or is not ours: ELSEWHERE names the test that runs it.
"""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import typer

from deployments.command import app
from tests.docs.documented import ROOT, Documented, documented

STAND_INS: tuple[tuple[str, str], ...] = (
    (r"/mnt/backup/lodeline", "{backup}"),
    (r"--to /var/lib/lodeline", "--to {new}"),
    (r"(?<=--config )(DIR|/etc/lodeline|\.\.\.)$", "{config}"),
    (r"(?<=--config )(DIR|/etc/lodeline)(?= )", "{config}"),
    (r"^(lodeline alerts (ack|explain))( ID)?$", r"\1 3f0a91c2de"),
    (r"^(lodeline override shed host)$", r"\1 --why backup"),
    (r"^(lodeline alerts silence)$", r"\1 --site north"),
    (r"\bID$", "miner_0001"),
    (r"\bminer_01$", "miner_0001"),
    (r"\bDATE\b", "2026-11-25"),
    (r"^(lodeline features get|lodeline features history)$", r"\1 miner_hourly miner_0001"),
    (r"^(lodeline features online)$", r"\1 miner_hourly miner_0001"),
    (r"^(lodeline features join)$", r"\1 miner_hourly --labels labels.csv"),
    (r"\bMEASUREMENT\b", "miner_telemetry"),
    (r"--from \.\.\.", "--from 2026-11-25"),
    (r"^(lodeline query \w+( --interpolate)?)$", r"\1 --from 2026-11-25"),
    (r'"SELECT \.\.\."', '"SELECT 1"'),
    (r" \[--format table\|csv\|json\|parquet\] \[--timeout 60\]", " --format csv --timeout 60"),
    (r"^LODELINE_LAKE__DIRECTORY=<data>/restored ", "LODELINE_LAKE__DIRECTORY={data}/restored "),
    (r"^(lodeline erase .*)$", r"\1 --yes"),
)
"""Patterns of a line, and what stands there when it is run. ``{config}``, ``{data}`` and ``{backup}`` are folders
of the host."""

CHANGES = (r"lodeline erase", r"--fill", r"--into-store", r"lodeline archive (run|restore)", r"lodeline alerts \w+")
"""Lines that change what is stored: each is run on a copy of its own."""

EXIT_CODES: tuple[tuple[str, int, str], ...] = (
    (r"lodeline alerts( list)?$", 1, "an alert fires"),
    (r"lodeline doctor", 1, "there is no Prefect server"),
    (r"lodeline status( --config \S+)?( --json)?$", 1, "its collector stands still"),
)
"""Lines that do not exit with 0 there, and why that is right."""

ELSEWHERE: tuple[tuple[str, str], ...] = (
    (r"(\S+=\S+ )*make run|lodeline up",
     "tests/up/test_up_with_influx.py::test_influxdb_has_it_all_and_the_page_agrees_with_the_farm"),
    (r"lodeline refill|influxd (backup|restore)", "tests/backup/test_influxdb.py::test_restored_and_refilled"),
    (r"influx (backup|restore)", "tests/compose/test_compose.py"),
    (r"lodeline deploy", "tests/flows/test_deploy_on_server.py::test_deployed_twice_is_deployed_once"),
    (r"lodeline page", "tests/page/test_browser.py::test_the_fleet"),
    (r"lodeline provision --dry-run",
     "tests/command/test_provision.py::test_a_dry_run_shows_the_plan_and_changes_nothing"),
    (r"lodeline provision",
     "tests/command/test_provision.py::test_makes_what_is_missing_with_the_retention_of_the_configuration"),
    (r"lodeline damage set-aside",
     "tests/command/test_damage.py::test_a_file_is_named_shown_asked_about_and_set_aside"),
    (r"lodeline damage put-back",
     "tests/command/test_damage.py::test_a_whole_copy_is_put_back"),
    (r"lodeline discover .*--dry-run", "tests/command/test_discover.py::test_a_dry_run_writes_nothing"),
    (r"lodeline discover", "tests/command/test_discover.py::test_what_is_found_is_listed_and_written"),
    (r"lodeline pools --pool", "tests/command/test_pools.py::test_one_pool"),
    (r"lodeline alerts test",
     "tests/command/test_alerts.py::test_a_channel_that_fails_its_test_is_told_without_its_secret"),
    (r"lodeline abacus (status|register|export|rejected)",
     "tests/abacus/test_exporting.py::test_the_command_from_nothing_to_exported"),
    (r"lodeline abacus (monitor|drift)",
     "tests/abacus/test_monitors.py::test_the_command_shows_both_and_where_they_differ"),
    (r"lodeline abacus schedules", "tests/abacus/test_refresh_policies.py::test_the_commands"),
    (r"lodeline abacus forget", "tests/abacus/test_erased.py::test_the_commands"),
    (r"lodeline responses (show|settle)",
     "tests/command/test_responses.py::test_one_is_shown_with_its_evidence_and_settled_once"),
    (r"lodeline override redetect",
     "tests/command/test_override.py::test_states_are_forced_and_drivers_detected_anew"),
    (r"lodeline override end",
     "tests/command/test_override.py::test_a_pause_is_set_listed_audited_shown_by_status_and_ended"),
    (r"lodeline abacus stream", "tests/abacus/test_streaming.py::test_all_groups_but_those_by_the_day"),
    (r"lodeline abacus predict", "tests/abacus/test_predicting.py::test_the_command_fetches_scores_and_tells"),
    (r"lodeline abacus retrain", "tests/abacus/test_retraining.py::test_the_command_tells"),
    (r"lodeline abacus (ask|lookup)", "tests/abacus/test_on_demand.py::test_the_command_wants_a_name_and_an_entity"),
    (r"prefect server start", "tests/scale_out/test_sites.py::test_what_is_deployed_lies_in_postgres_and_is_scheduled"),
    (r"prefect worker start", "tests/flows/test_collect_miners.py"),
    (r"prefect deployment run", "tests/docs/test_commands.py::test_a_deployment_that_is_named_exists"),
    (r"lodeline erase --miner miner_0001$",
     "tests/erasure/test_command.py::test_from_a_search_to_the_proof"),
    (r"curl .*/faults", "tests/farm/test_process.py::test_control_injects_and_ends_faults"),
    (r"python -m deployments\.\w+_reference|python -m deployments\.data_dictionary|make docs",
     "tests/docs/test_documents.py::test_the_data_dictionary_is_fresh"),
    (r"python -m storage\.features\.registry", "tests/features/test_publish.py"),
    (r"SPARK_PYTHON=|python -m venv \.venv-spark",
     "tests/distributed/test_spark.py::test_spark_comes_to_the_same_sums"),
    (r"pip install 'lodeline\[dask\]'",
     "tests/distributed/test_dask.py::test_without_the_extra_it_is_said_what_to_install"),
    (r"(sudo )?(systemctl|systemd-sysusers|systemd-creds)|journalctl|sudo (git|cp|install|make)",
     "tests/systemd/test_units.py::test_what_operations_installs_is_there"),
    (r"make (test|check)", ".ci/run"),
    (r"make bench", "tests/bench/__main__.py"),
    (r"make gameday|python -m tests\.gameday", "tests/gameday/__main__.py"),
    (r"QUIET_HOURS=", "tests/alerts/test_every_rule.py::test_a_quiet_day_fires_none"),
    (r"make (setup|lock)", "Makefile"),
)  # fmt: skip
"""Patterns of a line's beginning, and the test that runs that command; or the file, where it is no test of pytest."""


def to_run() -> list[Documented]:
    """Lines that run on the host of tests/docs/host.py; of two that run the same the first."""
    runs: dict[str, Documented] = {}
    for one in documented():
        if one.line.startswith(("lodeline ", "LODELINE_")) and elsewhere(one.line) is None and not is_a_name(one.line):
            runs.setdefault(as_run(one.line), one)
    return list(runs.values())


def elsewhere(line: str) -> str | None:
    """The test that runs ``line`` instead."""
    return next((test for pattern, test in ELSEWHERE if re.match(pattern, line)), None)


def is_a_name(line: str) -> bool:
    """Whether a page only names the command: two words, of which it cannot live."""
    words = as_run(line).split()
    if len(words) != 2 or words[0] != "lodeline":
        return False
    found = _commands().get(words[1])
    return found is not None and (words[1] == "erase" or any(parameter.required for parameter in found.params))


def as_run(line: str) -> str:
    """``line`` with values for its placeholders; folders are yet to be put in."""
    if line == "lodeline erase":
        return line
    for pattern, stand_in in STAND_INS:
        line = re.sub(pattern, stand_in, line)
    return line.partition(" > ")[0]


def fault_of(line: str) -> str | None:
    """Why ``line`` cannot be what somebody types: there is no such command or option, or it has no way to be run."""
    if (test := elsewhere(line)) is not None:
        return None if exists(test) else f"{test} is to run it, and is not there"
    if not line.startswith(("lodeline ", "LODELINE_")):
        return "nothing runs it"
    if is_a_name(line):
        return None
    words = [word for word in shlex.split(as_run(line)) if not re.match(r"[A-Z_]+=", word)]
    command = _commands().get(words[1])
    if command is None:
        return f"there is no command {words[1]}"
    try:
        command.make_context(words[1], words[2:])
    except Exception as error:  # typer brings click's errors along under a name of its own
        return str(getattr(error, "message", error)) or type(error).__name__
    return None


@cache
def exists(test: str) -> bool:
    """Whether there is such a file, and such a test in it."""
    path, _, name = test.partition("::")
    file = ROOT / path
    if not file.is_file():
        return False
    if not name:
        return True
    tree = ast.parse(file.read_text())
    return any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == name for n in ast.walk(tree))


@cache
def _commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def folders(line: str, config: Path, data: Path, new: Path) -> str:
    """``line`` with the folders of a host; ``new`` is one that is not there."""
    there = {"{config}": config, "{data}": data, "{backup}": data.with_name("backup"), "{new}": new}
    for placeholder, folder in there.items():
        line = line.replace(placeholder, str(folder))
    return line
