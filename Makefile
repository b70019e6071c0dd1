# Needs python3 (3.11 or newer) and make; everything else comes from requirements.lock.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Files of tests that run at once; each has servers of its own. 0: one after another.
AT_ONCE ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench gameday lock docs

help:
	@echo "make run   [ARGS='--for 60 --miners 24']  set up, then run the main job"
	@echo "make test  [ARGS='-k spool']               set up, then run the tests"
	@echo "make check                                 lint, types, import layers"
	@echo "make bench [ARGS='encoding reading']       one JSON line per figure"
	@echo "make gameday [ARGS='--only \"disk full\"']  play failures against the running product"
	@echo "make docs                                  write the generated pages again"

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lodeline needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.13 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup
	@exec $(BIN)/lodeline up $(ARGS)

test: setup .venv-router/.complete
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

# Crossbar needs an idna that Prefect's anyio does not take: an environment of its own. Its tree asks for an extra that no
# longer exists, hence --no-deps; the lock is complete.
.venv-router/.complete: tests/prohashing/router/requirements.lock
	@test -x .venv-router/bin/python || $(PYTHON) -m venv .venv-router
	.venv-router/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup .venv-bench/.complete
	@$(BIN)/python -m tests.bench $(ARGS)

gameday: setup
	@$(BIN)/python -m tests.gameday $(ARGS)

# What the bench compares with lives in an environment of its own.
.venv-bench/.complete: tests/bench/requirements.lock
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

docs: setup
	$(BIN)/python -m deployments.data_dictionary
	$(BIN)/python -m deployments.configuration_reference
	$(BIN)/python -m deployments.command_reference
	$(BIN)/python -m deployments.quality_reference
	$(BIN)/python -m deployments.alert_reference
	$(BIN)/python -m deployments.metrics_reference
	$(BIN)/python -m deployments.warehouse_reference
	$(BIN)/python -m deployments.grafana.build

# Maintainers: after a change of dependencies; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --group dev --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock
