# Everything a newcomer needs: `make demo` and `make test`. Both set up what they use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM := tests/npm/node_modules/.package-lock.json
CONFORMANCE := tests/conformance/npm/node_modules/.package-lock.json
CLAUDE := tests/claude/npm/node_modules/.package-lock.json

.PHONY: demo demo-flow test check format bench clean test-deps

demo: $(VENV)/installed  ## install, then carry out five tasks in plain words
	$(BIN)/switchboard demo

demo-flow: $(VENV)/installed  ## the same with four servers from npm
	$(BIN)/switchboard demo --flow

test: check test-deps  ## every check and every test
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

check: $(VENV)/installed-dev  ## lint, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-bench test-deps  ## the measurements that README quotes
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.profile_call
	$(BIN)/python -m benchmarks.retrieval
	$(BIN)/python -m benchmarks.exposure
	$(BIN)/python -m benchmarks.claims --write

test-deps: $(VENV)/installed-dev $(NPM) $(CONFORMANCE) $(CLAUDE)

$(NPM): tests/npm/package-lock.json
	cd tests/npm && npm install --no-save && npm rebuild node --ignore-scripts=false
	@touch $@

$(CONFORMANCE): tests/conformance/npm/package-lock.json
	cd tests/conformance/npm && npm install --no-save
	@touch $@

$(CLAUDE): tests/claude/npm/package-lock.json
	cd tests/claude/npm && npm install --no-save
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@

clean:
	rm -rf $(VENV) tests/npm/node_modules tests/conformance/npm/node_modules tests/claude/npm/node_modules dist .pytest_cache .ruff_cache .hypothesis
