# Every target sets itself up: the first call makes an environment in $(VENV) and installs into it
# what that target needs. PYTHON=python3.12 and VENV=/some/where choose another interpreter or place.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
# Processes that the tests are dealt out to; 0 for none, as a debugger wants.
WORKERS ?= 2
# Extra arguments: make demo ARGS="--help", make test ARGS="-x -k losses"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-newest lint format docs bench constraints clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## train mixtures of GANs on a ring of Gaussians
	@$(BIN)/python -m experiments mix_gan_ring $(ARGS)

PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

test: $(VENV)/.test ## run the quick tests: everything once
	@$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.test ## run the other tests: every case
	@$(PYTEST) -m slow $(ARGS)

test-newest: ## run the tests with the newest versions of everything (PYTHON=python3.13)
	@rm -f .venv-newest/.test
	@$(MAKE) --no-print-directory test VENV=.venv-newest \
		INSTALL='$$(PIP) install --upgrade --upgrade-strategy eager'

lint: $(VENV)/.test ## check style, formatting and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

format: $(VENV)/.test ## sort imports and format the code
	@$(BIN)/python -m ruff check --quiet --fix-only --select I .
	@$(BIN)/python -m ruff format --quiet .

docs: $(VENV)/.docs ## build the site into build/site; warnings are errors
	@$(BIN)/python -m sphinx -W --keep-going -n -E -q -j auto -c docs . build/site
	@echo "build/site/index.html"

bench: $(VENV)/.bench ## measure speed and memory, against PyTorch too
	@$(BIN)/python -m experiments.benchmark $(ARGS)

constraints: ## resolve the newest versions afresh into constraints.txt
	@$(CHECK_PYTHON)
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(PYTHON) -m venv "$$scratch/venv" && \
	"$$scratch/venv/bin/python" -m pip --quiet install -e '.[dev,bench,notebooks,docs]' && \
	sed -n '/^#/p' constraints.txt > "$$scratch/constraints.txt" && \
	"$$scratch/venv/bin/python" -m pip freeze --exclude-editable | \
		sed 's/^\(torch==[^+]*\)+.*/\1/' | LC_ALL=C sort -f >> "$$scratch/constraints.txt" && \
	cp "$$scratch/constraints.txt" constraints.txt

clean: ## remove the environment, builds and caches (never runs/)
	@rm -rf .venv .venv-newest build dist .jax_cache .mypy_cache .pytest_cache .ruff_cache .coverage *.egg-info
	@find mixgan_jax experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up ------------------------------------------------------------------------------------

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "mixgan_jax needs Python 3.11 or newer; PYTHON=$(PYTHON) gives:" \
	"$$($(PYTHON) --version 2>&1 || true); try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
SETUP := setup.cfg pyproject.toml constraints.txt

# pip, not python, marks an environment as made: where venv stops half-way it is missing.
$(BIN)/pip:
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(SETUP) | $(BIN)/pip
	@echo "Installing mixgan_jax into $(VENV) (once; a minute or so)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.test: $(SETUP) | $(BIN)/pip
	@echo "Installing mixgan_jax and its test tools into $(VENV) (once; a minute or so)"
	@$(INSTALL) -e '.[test]'
	@touch $(VENV)/.demo $@

$(VENV)/.docs: $(SETUP) | $(BIN)/pip
	@echo "Installing mixgan_jax and Sphinx into $(VENV) (once; a minute or so)"
	@$(INSTALL) -e '.[docs]'
	@touch $(VENV)/.demo $@

# On Linux PyPI's torch brings CUDA with it, several GB; a CPU build that is installed already is kept.
$(VENV)/.bench: $(SETUP) | $(BIN)/pip
	@echo "Installing mixgan_jax and PyTorch into $(VENV) (once; a few minutes)"
	@$(INSTALL) -e '.[bench]'
	@touch $(VENV)/.demo $@
