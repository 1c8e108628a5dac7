# What a person types. `make help` lists it; every target installs what it is missing first.
# bash, for pipefail: a failed installation must not hide behind the dots that show its progress. The make of
# macOS does not know .SHELLFLAGS, so that recipe says it once more.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
FUZZ_SECONDS ?= 20
ROUNDS ?= 0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo up test e2e console browser screenshots vendor faults faults-bounded fuzz bench slow-clients hung-broker check clean

help: ## List what can be typed here
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("mpesa-balance needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing what the system needs into $(VENV) (the first time takes a minute) ..."
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' \
	  | awk '/^Collecting/ {printf "."; fflush()} END {print ""}'
	@touch $(STAMP)

demo: $(STAMP) ## Bring the whole system up, ask for one balance, print it, stop
	@$(BIN)/mpesa-balance demo

up: $(STAMP) ## Run the whole system in the foreground until Ctrl-C
	@$(BIN)/mpesa-balance up

test: $(STAMP) ## Run the tests (about a minute)
	@$(BIN)/python -m pytest -m 'not slow and not faults and not console and not browser'

e2e: $(STAMP) ## Run the slow tests: whole stacks, started, killed and started again
	@$(BIN)/python -m pytest -m slow

console: $(STAMP) ## Test the web console, its API and the people in it (a minute)
	@$(BIN)/python -m pytest -m console

browser: $(STAMP) ## Look at the console in Chromium, which must be installed; checks its accessibility too
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@$(BIN)/python -m pytest -n 2 -m browser

screenshots: $(STAMP) ## The same, and put the pictures of the pages into the docs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@mkdir -p ops/docs/screenshots
	@SCREENSHOTS=ops/docs/screenshots $(BIN)/python -m pytest -n 2 -m browser

vendor: ## Copy anew what the console's pages take from npm (needs npm)
	@ops/console/assets/vendor.sh

faults: $(STAMP) ## Break whole stacks, hold the ledger against them, write ops/docs/faults.md (half an hour)
	@rm -f .faults.jsonl
	@FAULTS_LINES=.faults.jsonl CHAOS_SECONDS=600 $(BIN)/python -m pytest -n 2 -m faults
	@$(BIN)/python -m tests.faults.report .faults.jsonl ops/docs/faults.md

faults-bounded: $(STAMP) ## The part of it that CI runs (a few minutes)
	@$(BIN)/python -m pytest -n 2 -m 'faults and not long'

fuzz: $(STAMP) ## Fuzz what reads foreign bytes, FUZZ_SECONDS (20) for each target
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/fuzz tests/unit
	@for target in $$($(BIN)/python -m tests.fuzz); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS) || exit 1; done

bench: $(STAMP) ## Compare with the ways people do it today (ONLY=accept ROUNDS=3: a part of it)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BIN)/python -m ops.bench.compare --only '$(ONLY)' --rounds '$(ROUNDS)'

slow-clients: $(STAMP) ## Compare servers for the webhook tier under slow clients (seven minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BIN)/python -m ops.bench.slow_clients

hung-broker: $(STAMP) ## Measure the webhook tier while its broker is away (seven minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BIN)/python -m ops.bench.hung_broker

check: $(STAMP) ## Lint, format check and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean: ## Remove what make and the demo made (.venv, .state)
	@rm -rf $(VENV) .state
