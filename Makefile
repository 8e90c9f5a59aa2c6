# One line a target. Everything runs in .venv, which `make setup` makes from the pinned, hashed requirements.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.ready-$(shell sha256sum requirements-dev.txt | cut -c1-16)
AT_ONCE := -n 2 --dist worksteal
ON_POSTGRESQL := --only-database tests/jobs tests/batches tests/review tests/api -m "not browser"
SOURCES := aeproject batches jobs review rendering tests manage.py gunicorn.conf.py

.PHONY: setup demo test lint types contracts migrations tests bench chaos lock clean
.DEFAULT_GOAL := help

help:             ## What there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(STAMP)   ## Create .venv and install what is pinned (seconds when nothing changed)

$(STAMP): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("aeproject needs Python 3.11; set PYTHON=/path/to/python3.11") if sys.version_info[:2] != (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@rm -f .venv/.ready-*; touch $@

demo: setup       ## Run the main job on sample files; ONCE=1 runs it to the end and exits
	@$(if $(ONCE),rm -rf var/demo-once)
	@DATA_DIR=$(CURDIR)/var/$(if $(ONCE),demo-once,demo) $(BIN)/python manage.py demo $(if $(ONCE),--once)

test: lint types contracts migrations tests   ## Everything that must pass

lint: setup       ## ruff
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

types: setup      ## mypy --strict
	@$(BIN)/mypy aeproject batches jobs review rendering

contracts: setup  ## imports point down only
	@$(BIN)/lint-imports --no-logo

migrations: setup ## models and migrations agree
	@$(BIN)/python manage.py makemigrations --check --dry-run

tests: setup      ## pytest, on SQLite, and on PostgreSQL where TEST_DATABASE_URL names one
	@$(BIN)/python -m pytest $(AT_ONCE)
	@if [ -n "$$TEST_DATABASE_URL" ]; then DATABASE_URL="$$TEST_DATABASE_URL" $(BIN)/python -m pytest $(AT_ONCE) $(ON_POSTGRESQL); fi

bench: setup      ## Measure everything that has a target, in about eight minutes
	@rm -rf var/bench
	@DATA_DIR=$(CURDIR)/var/bench $(BIN)/python manage.py bench

chaos: setup      ## Break processes, servers, disk and network while 200 jobs run; JOBS=, SEED=
	@DATA_DIR=$(CURDIR)/var $(BIN)/python manage.py chaos $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED))

lock: setup       ## Pin the newest versions that requirements*.in allow
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@for file in requirements requirements-dev; do $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o $$file.txt $$file.in; done

clean:            ## Remove the environment and the embedded data
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
