# goldentwin: `make` alone lists what can be made. Every target installs what it needs first, once.

SHELL := bash
BIN := .venv/bin
STAMP := .venv/.installed
PYTHON ?=
export PYTHON
export MLFLOW_DISABLE_TELEMETRY ?= true
export DO_NOT_TRACK ?= 1
export PREFECT_SERVER_ANALYTICS_ENABLED ?= false

# An environment is bound to its folder: a moved or copied checkout installs anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
MOVED := moved
endif

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types format ui bench clean moved

help: ## this list
	@echo "goldentwin: compares camera frames of parts with approved golden images"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  make test ARGS="-m '"'not slow and not server'"'"  hands ARGS to pytest; PYTHON=... picks the Python'

install: $(STAMP) ## only install into .venv

$(STAMP): pyproject.toml constraints.txt $(MOVED)
	@.ci/install

demo: $(STAMP) ## a night's batch on drawn circuit boards: enrol, calibrate, judge, report
	@$(BIN)/goldentwin demo $(ARGS)

test: $(STAMP) ## all tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## style, formatting and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

format: $(STAMP) ## rewrite the code in the project's format
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

ui: $(STAMP) ## the MLflow and Prefect pages of this checkout's results
	@$(BIN)/goldentwin ui $(ARGS)

bench: $(STAMP) ## measure accuracy and speed, and write BENCHMARKS.md (needs the real images)
	@$(BIN)/python tests/benchmarks/measure.py $(ARGS)

clean: ## remove the environment and all caches; verdicts and goldens stay
	rm -rf .venv .venv.log .venv.lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
