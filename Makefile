# Two commands set everything up on a machine with only Python and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Compiling every module of torch and transformers takes longer than the tests that need a few of them.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
export MPLBACKEND := agg

.PHONY: demo test lint testbed notebook results results-testbed benchmarks clean

demo: .venv/core
	$(BIN)/scalinglab demo --out results/demo

test: .venv/dev
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Trains the small testbed from nothing, then prints what makes a testbed useful and whether this one is.
testbed: .venv/dev
	rm -rf testbed-tiny
	$(BIN)/scalinglab testbed train --scale tiny --out testbed-tiny
	$(BIN)/scalinglab testbed evaluate --scale tiny --folder testbed-tiny --seed 1

notebook: .venv/dev
	$(BIN)/jupyter-execute --inplace notebooks/*.ipynb

benchmarks: .venv/dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only
	@echo 'With vLLM: python tests/benchmarks/collect_speed.py writes results/benchmarks/collect.json'

# What results/ holds; the second needs ../shared/data, which is not ours to ship.
results: .venv/core
	$(BIN)/scalinglab demo --out results/paper
	$(BIN)/scalinglab report ../shared/data/pythia_math/counts.csv --small "Pythia 1B" --large "Pythia 12B" --out results/pythia-math

# The shipped models and the tables about them: somewhat over an hour, Ctrl-C and the same command go on.
results-testbed: .venv/dev
	$(BIN)/scalinglab testbed train --scale base --out testbed-base
	$(BIN)/scalinglab testbed train --scale ladder --out testbed-ladder
	mkdir -p scalinglab/data/testbed
	rm -rf scalinglab/data/testbed/base && cp -r testbed-base scalinglab/data/testbed/base
	rm -f scalinglab/data/testbed/base/attempts.jsonl
	$(BIN)/scalinglab testbed evaluate --scale base --seed 0 --ladder testbed-ladder --out results/testbed

.venv/core: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable ".[dev]"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
