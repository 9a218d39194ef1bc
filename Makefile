# The one vocabulary: what a person types, what the hooks call and what CI calls. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# PYTHON=/path/to/python3.11 chooses the interpreter; left empty, python3.11, python3 and python are tried in turn.
PYTHON ?=
# Extra words for the command behind a target: make model ARGS="--preset smoke", make test ARGS="-k manifest".
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt
# Tests run side by side, one thread each; COVERAGE=1 measures the branches that they reach.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup $(if $(COVERAGE),--cov --cov-append --cov-report=)

# A stamp says what is installed: what a model needs (run), or that and the tools of a developer (dev).
# Editing pyproject.toml or constraints.txt installs again; otherwise a second call costs nothing.
MADE := $(VENV)/.made
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev

.PHONY: help
help: ## show this list
	@echo "make TARGET [ARGS=\"...\"] [PYTHON=...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: model
model: $(RUN) ## corpus -> registered model: make the environment, run the pipeline
	@$(BIN)/tisslm run $(ARGS)

.PHONY: test
test: $(DEV) ## the fast tests, side by side
	@$(PYTEST) -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: $(DEV) ## the slow tests: whole pipelines, kills, faults
	@$(PYTEST) -m slow $(ARGS)

.PHONY: coverage
coverage: $(DEV) ## all tests, with the branches they reach
	@$(BIN)/coverage erase
	@$(MAKE) test test-slow COVERAGE=1
	@$(MAKE) coverage-report

.PHONY: coverage-report
coverage-report: $(DEV) ## what the tests run with COVERAGE=1 reached; fails under 85 %
	@$(BIN)/coverage report --fail-under=85

.PHONY: lint
lint: $(DEV) ## style, format, import directions, docstrings, declared dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/interrogate --quiet || { $(BIN)/interrogate -vv --omit-covered-files; exit 1; }
	@$(BIN)/deptry .

.PHONY: format
format: $(DEV) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(DEV) ## strict type check
	@$(BIN)/mypy

.PHONY: docs
docs: $(DEV) ## build the documentation into site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

.PHONY: bench
bench: $(DEV) ## every benchmark, ratios against peers (ARGS=--quick for a short one)
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: smoke
smoke: $(RUN) ## the whole pipeline, small, in a temporary copy of this workspace
	@bash infra/smoke

.PHONY: ui
ui: $(RUN) ## MLflow and Prefect in the browser, on this machine only
	@$(BIN)/tisslm ui $(ARGS)

.PHONY: deploy
deploy: $(RUN) ## serve the pipeline as a Prefect deployment, until Ctrl-C
	@$(BIN)/tisslm deploy $(ARGS)

.PHONY: schema
schema: $(RUN) ## write params.schema.json from the config classes
	@$(BIN)/tisslm params schema --write

.PHONY: constraints
constraints: $(DEV) ## write constraints.txt from what is installed in .venv
	@$(PIP) -e '.[dev,s3,dask,ray,annotate,names,postgres,bench]'
	@$(BIN)/python infra/constraints.py > $(VENV)/constraints.new
	@mv $(VENV)/constraints.new constraints.txt && touch $(RUN) $(DEV)

.PHONY: clean
clean: ## remove caches and built files; data, models, runs and .venv stay
	@rm -rf build dist site htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache ./*.egg-info
	@find benchmarks cli flows infra model tasks tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---

# A virtual environment works only in the place where it was made: in a moved folder it is made again.
ifneq ($(wildcard $(VENV)/.place),)
ifneq ($(shell cat $(VENV)/.place),$(CURDIR))
$(MADE): moved
endif
endif
.PHONY: moved
moved: ;

IS_311 := import sys; raise SystemExit(sys.version_info[:2] != (3, 11))

# An environment that somebody made by hand in the same place is used as it is.
$(MADE):
	@if [ ! -f $(VENV)/.place ] && $(BIN)/python -m pip --version >/dev/null 2>&1 && $(BIN)/python -c '$(IS_311)'; then exit 0; fi; \
	PATH="$${PATH#$(CURDIR)/$(BIN):}"; python="$(PYTHON)"; \
	for candidate in $${python:-python3.11 python3 python}; do \
	  if "$$candidate" -c '$(IS_311)' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "make: Python 3.11 is needed, found none (tried: $${python:-python3.11 python3 python});" \
	    "install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "==> making the environment $(VENV) with $$("$$found" --version) ..."; \
	rm -rf $(VENV); \
	"$$found" -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "make: $$found cannot make a virtual environment; install its venv module (on Debian: python3.11-venv)" >&2; \
	  exit 1; \
	}
	@echo "$(CURDIR)" > $(VENV)/.place && touch $@

$(RUN): $(MADE) pyproject.toml constraints.txt
	@echo "==> installing what a model needs into $(VENV) (some minutes and a few GB the first time) ..."
	@$(PIP) -e .
	@touch $@

$(DEV): $(MADE) pyproject.toml constraints.txt
	@echo "==> installing TissLM and its developer tools into $(VENV) (some minutes and a few GB the first time) ..."
	@$(PIP) -e '.[dev,s3,dask,annotate,bench]'
	@touch $(RUN) $@
