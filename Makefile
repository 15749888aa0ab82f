PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
BIN := .venv/bin
WITH_VENV = PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: run test test-fast test-cluster test-installed chaos docs lint format lock

run: .venv/.installed
	$(WITH_VENV) snakemake --cores $(CORES)

test: lint
	$(WITH_VENV) pytest -n 2 --dist worksteal

test-fast: .venv/.installed
	$(WITH_VENV) pytest -n 2 -m "not slow and not cluster and not install"

# Needs root, and Debian's slurmctld, slurmd, slurm-client, munge, gridengine-master and gridengine-exec.
test-cluster: .venv/.installed
	$(WITH_VENV) pytest -m cluster

# Installs the package from git into an empty virtual environment and tests it; takes some minutes.
test-installed: .venv/.installed
	$(WITH_VENV) pytest -m install

# Disturbs a tiny study about a hundred times at random, and checks its bytes after each disturbance; one or two hours.
chaos: .venv/.installed
	$(WITH_VENV) PYTHONPATH=scripts:tests python tests/chaos.py --rounds 34 --disturbances 3 --directory $$(mktemp -d)/chaos

# Builds the documentation site in site/ from docs/.
docs: .venv/.installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs site

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check workflow
	$(BIN)/mypy
	PYTHONPATH=scripts $(BIN)/lint-imports
	$(BIN)/snakemake --lint

format: .venv/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt workflow

# Writes the lock files from pyproject.toml; takes some minutes. A pinned version is kept if it fits. To get a newer
# version, delete the line.
lock: .venv/.installed
	$(BIN)/python tools/lock.py

LOCKS := requirements.lock requirements-cluster.lock requirements-sbx.lock requirements-video.lock \
	docs/requirements.lock

.venv/.installed: $(LOCKS) tests/requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(LOCKS:%=--requirement %)
	$(BIN)/pip install --quiet --no-deps --requirement tests/requirements.lock
	touch $@
