# What people and CI call. Each target sets up what it needs; `make` alone says what there is.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := server,anomaly,verification,registry,console,simulators,local,dev
JCREDIT := $(BIN)/python -m console.cli
SET_UP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo test check up down bench bench-soak clean

help:
	@echo "make demo        everything by itself: from signed meter readings to a serial block"
	@echo "make test        every test, those against the real services included"
	@echo "make check       format, lint, types, import contracts, unit tests"
	@echo "make bench       throughput of the product beside the bare chain (bench-soak: ten minutes, 100,000 gateways)"
	@echo "make up, down    the services alone (the same as \`jcredit up\`, \`jcredit down\`)"
	@echo "make setup       only the Python environment, in $(VENV)"
	@echo "make clean       stop the services and remove $(VENV), the local stack WITH ITS DATA, and caches"

setup: $(SET_UP)

$(SET_UP): pyproject.toml deploy/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "\`$(PYTHON)\` is not there or older than Python 3.11: install Python 3.11 or newer, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 3; }
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV) >/dev/null 2>&1; } || \
	  { rm -rf $(VENV); echo "\`$(PYTHON) -m venv\` can not make an environment here: on Debian, apt-get install python3-venv" >&2; exit 3; }
	@echo "installing the project and its libraries into $(VENV) (the first time about a minute and a half)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c deploy/constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

demo: setup
	@$(JCREDIT) demo

up down: setup
	@$(JCREDIT) $@

# The tests take the stack that $$JCREDIT_STACK names, else containers where a Docker engine answers, else one of their own in .local/test, which is
# brought up here to be seen. What runs of it, and of the stacks that some tests break on purpose, is stopped at the end.
test: setup
	@test -n "$$JCREDIT_STACK" || docker info >/dev/null 2>&1 || $(BIN)/python -m tests.scratch up test
	@$(BIN)/python -m pytest; result=$$?; $(BIN)/python -m tests.scratch down test kill demo-test; exit $$result

check: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/unit

bench: setup
	@$(JCREDIT) up
	@$(BIN)/python -m tests.bench.chain

bench-soak: setup
	@$(JCREDIT) up
	@$(BIN)/python -m tests.bench.soak

clean:
	@test ! -x $(BIN)/python || { $(JCREDIT) down; $(BIN)/python -m tests.scratch down; } || true
	@for place in .local/place .local/*/place; do test ! -L "$$place" || rm -rf "$$(readlink "$$place")"; done
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
