# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make demo    a picture, its policy decision, its credentials and its audit proof
#   make test    lint, types, import contracts, every test, the notebooks
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
# OpenMP threads that spin while they wait slow each other many times over on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE
export HF_HUB_OFFLINE ?= 1
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --no-input -c constraints.txt
# pip tells what it collects; the rest of its talk is left out.
SHOW := | awk '/^(Collecting|Downloading|Installing|Successfully)/ { print "      " substr($$0, 1, 100); fflush() }'

.PHONY: demo test bench lint types contracts unit notebooks soak matrix clean help

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.made:
	@echo "==> [1/3] virtual environment in $(VENV)"
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Limner needs Python 3.11 or newer; name one with `make PYTHON=python3.12 …`")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "==> [2/3] Limner with a local Stable Diffusion and the safety detectors (a few minutes the first time)"
	$(PIP) -e '.[diffusers,safety,clip]' $(SHOW)
	touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "==> [3/3] what the tests and notebooks need"
	$(PIP) -e '.[diffusers,openai,comfyui,safety,clip,postgres,notebooks,evaluation,dev]' $(SHOW)
	touch $@

demo: $(VENV)/.run  ## a picture, its policy decision, its credentials and its audit proof
	@$(BIN)/python -m limner.demo --output demo-output

lint: $(VENV)/.dev  ## ruff: rules and format
	@echo "==> lint"; $(BIN)/ruff check .; $(BIN)/ruff format --check -q .

types: $(VENV)/.dev  ## mypy --strict
	@echo "==> types"; $(BIN)/mypy

contracts: $(VENV)/.dev  ## the three leaves do not know each other
	@echo "==> import contracts"; $(BIN)/lint-imports

notebooks: $(VENV)/.dev  ## run the audit notebooks
	@echo "==> notebooks"; $(BIN)/pytest -q --nbmake notebooks --nbmake-timeout=300

unit: $(VENV)/.dev  ## the quick tests: no torch, no socket
	@$(BIN)/pytest -q -m "not postgres" tests/unit

test: lint types contracts  ## lint, types, import contracts, every test, the notebooks
	@echo "==> tests"; $(BIN)/pytest -n auto --dist loadfile --nbmake --nbmake-timeout=300 tests notebooks

bench: $(VENV)/.dev  ## figures, each with its ratio to a peer in the same run
	@for b in benchmarks/*.py; do echo "==> $$b"; $(BIN)/python $$b; done

soak: $(VENV)/.dev  ## 1,000 x kill -9, 1,000 verifications beside four writers, deep fuzzing (hours)
	@LIMNER_SOAK=1 LIMNER_KILLS=1000 LIMNER_VERIFICATIONS=1000 $(BIN)/pytest -q --timeout=0 tests/faults \
		tests/unit/provenance/test_fuzzed_parsers.py tests/unit/provenance/credentials/test_fuzzed_readers.py

matrix: $(VENV)/.dev  ## write the fault matrix of docs/audit.md anew from the tests
	@$(BIN)/python tests/faults/matrix.py --write

clean:  ## remove what the commands above made
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
