# Two commands set everything up on a machine with only Python and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Compiling every module of torch and transformers takes longer than the tests that need a few of them.
PIP := -m pip --disable-pip-version-check install --quiet --no-compile
PYTEST := -m pytest -n auto --dist worksteal
# uv reads no settings of pip, so neither an index nor a "+cpu" gets into a lock.
LOCK := .venv-lock/bin/uv pip compile pyproject.toml --quiet --upgrade --python-version 3.11 \
	--override requirements/overrides.txt --excludes requirements/excludes.txt \
	--no-annotate --custom-compile-command "make lock, for Python 3.11 and later"
export MPLBACKEND := agg
# Whoever imports a module first compiles it for all: vLLM starts a process a model.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test smoke test-engine test-servers check-vllm test-newest test-oldest lint lock testbed notebook results results-testbed study results-study replicate benchmarks clean

# Makes environment $(1) of what lock $(2) says and nothing else; torch alone brings what its build for this machine needs.
define install
$(PYTHON) -m venv $(1)
$(1)/bin/python $(PIP) --constraint $(2) torch
$(1)/bin/python $(PIP) --no-deps --requirement $(2)
$(1)/bin/python $(PIP) --no-deps --no-build-isolation --editable .
endef

# What recorded real models say, then a small live study on vLLM; where vLLM cannot be installed or does not run, the
# same analysis of a recorded one.
demo: .venv/core
	$(BIN)/scalinglab demo --only real --out results/demo
	@$(MAKE) --no-print-directory .venv-vllm/ready || echo "demo: vLLM could not be installed; going on without it"
	$$(test -e .venv-vllm/ready && echo .venv-vllm/bin || echo $(BIN))/scalinglab demo --only run --out results/demo

test: .venv/dev
	$(BIN)/python $(PYTEST)

# What needs vLLM, one file after the other in one process: engines beside one another would share two cores. That
# environment has no pytest-benchmark, and so none of pyproject.toml's options; vLLM leaves its zmq context open.
ENGINE_TESTS := tests/test_vllm_names.py tests/test_collect_vllm.py tests/test_collect_vllm_settings.py \
	tests/test_collect_vllm_stops.py tests/test_study_vllm.py tests/test_replicas_vllm.py
test-engine: .venv-vllm/ready
	.venv-vllm/bin/python -m pytest -o addopts="-q --strict-markers" -W ignore::ResourceWarning -p no:cacheprovider --durations=5 $(ENGINE_TESTS)

# Whether vLLM's own wheel for GPUs, at the lowest version that we allow and the newest, has all that our engine uses:
# 340 MB each, downloaded, read and deleted. VLLM="0.33.0 0.34.0" for others.
check-vllm: .venv/core
	$(BIN)/python tests/check_vllm.py $(VLLM)

# The suite on the newest of everything, or on the lowest versions that pyproject.toml allows; first, how they differ
# from the lock. torch stays: its other builds for Linux bring CUDA's packages.
test-newest: AGE := --universal
test-oldest: AGE := --resolution lowest-direct
test-newest test-oldest: test-%: .venv-lock/bin/uv
	mkdir -p .venv-$*
	$(LOCK) --extra dev $(AGE) --output-file .venv-$*/lock.txt
	diff requirements/dev.txt .venv-$*/lock.txt || true
	$(call install,.venv-$*,.venv-$*/lock.txt)
	.venv-$*/bin/python $(PYTEST)

# One small study on vLLM's server and on llama.cpp's, by completions and by chat; its record is results/servers.
test-servers: .venv/dev .venv-vllm/ready .venv-servers/ready
	$(BIN)/python tests/benchmarks/real_servers.py --out results/servers

# Builds source distribution and wheel and runs verbs of the wheel in an environment of nothing else, once a Python
# (PYTHONS="python3.11 python3.13"), and with the oldest versions allowed on the first. An installation each, of about
# a minute.
PYTHONS ?= $(PYTHON)
smoke:
	$(PYTHON) tests/smoke.py $(PYTHONS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pins every package of both environments anew, for Python 3.11 and later.
lock: .venv-lock/bin/uv
	$(LOCK) --universal --extra dev --output-file requirements/dev.txt
	$(LOCK) --universal requirements/engine.in --extra collect --output-file requirements/engine.txt
	$(subst pyproject.toml,requirements/servers.in,$(LOCK)) --universal --output-file requirements/servers.txt

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
	$(BIN)/scalinglab atlas --shipped --out results/real-models
	$(BIN)/scalinglab paper --out results/paper
	$(BIN)/scalinglab report ../shared/data/pythia_math/counts.csv --small "Pythia 1B" --large "Pythia 12B" --out results/pythia-math

# The testbed from nothing: rates, six seeds of every model with their controls, the ladder, and the tables about
# them; seed 0 ships. About two hours; Ctrl-C and the same command go on.
SEEDS := 0 1 2 3 4 5
STUDIES := $(SEEDS:%=study-%) $(SEEDS:%=more-%)
results-testbed: .venv/dev
	$(BIN)/scalinglab testbed search --scale base --work testbed-search --out results/testbed/rates.csv
	for seed in $(SEEDS); do \
		$(BIN)/scalinglab testbed train --scale base --seed $$seed --controls --out testbed-base/$$seed || exit; done
	$(BIN)/scalinglab testbed train --scale ladder --out testbed-ladder
	for model in $(SEEDS:%=testbed-base/%/*/); do \
		mkdir -p results/$$model && cp $$model/manifest.json results/$$model || exit; done
	mkdir -p scalinglab/data/testbed/base
	for model in small large prm orm reviser; do rm -rf scalinglab/data/testbed/base/$$model; \
		cp -r testbed-base/0/$$model scalinglab/data/testbed/base/$$model || exit; done
	$(BIN)/scalinglab testbed evaluate --folder testbed-base/0 --seed 0 --ladder testbed-ladder --out results/testbed
	for seed in $(filter-out 0,$(SEEDS)); do $(BIN)/scalinglab testbed evaluate --folder testbed-base/$$seed --seed $$seed \
		--out results/testbed/seed-$$seed || exit; done

# The study of results/testbed/PLAN.md on these models: some hours of vLLM, in pieces that go on where they stopped; then
# its record, without how long calls took beside one another, and without texts (40 MB more).
study: .venv-vllm/ready
	for run in $(STUDIES); do \
		OMP_NUM_THREADS=1 .venv-vllm/bin/scalinglab collect results/testbed-study/$$run.toml --out testbed-study/$$run \
		&& .venv-vllm/bin/scalinglab export testbed-study/$$run --out results/testbed-record/$$run \
			--without seconds,texts || exit; done

# What the study says, from its record, and what the ladder says beside it.
results-study: .venv/core
	$(BIN)/scalinglab testbed study $(SEEDS:%=results/testbed-record/study-%) \
		$(SEEDS:%=--more results/testbed-record/more-%) --ladder results/testbed --out results/testbed-study

# Weights, study and analysis from nothing, in one command; Ctrl-C and the same command go on.
replicate:
	$(MAKE) results-testbed
	$(MAKE) study
	$(MAKE) results-study

# vLLM on a CPU has an environment of its own: 2.5 GB.
.venv-vllm/ready: pyproject.toml requirements/engine.txt
	@echo "installing vLLM for the CPU: 2.5 GB, about 3 minutes"
	$(call install,.venv-vllm,requirements/engine.txt)
	touch $@

# llama.cpp's server is built here: 5 minutes on 2 cores. What reads its file for vLLM stands apart, for that one alone.
.venv-servers/ready: requirements/servers.txt
	$(PYTHON) -m venv .venv-servers
	.venv-servers/bin/python $(PIP) --requirement $<
	.venv-servers/bin/python $(PIP) --no-deps --target .venv-servers/gguf --requirement requirements/readers.txt
	touch $@

.venv/core: pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --constraint requirements/dev.txt setuptools
	$(BIN)/python $(PIP) --constraint requirements/dev.txt --no-build-isolation --editable .
	touch $@

.venv/dev: pyproject.toml requirements/dev.txt
	$(call install,.venv,requirements/dev.txt)
	touch $@

.venv-lock/bin/uv:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) uv

clean:
	rm -rf .venv .venv-* build *.egg-info .mypy_cache .pytest_cache .ruff_cache
