# make run    open the dashboard (installs on the first call)
# make test   everything that must hold: style, types, doctests, tests, browser journey
# make bench  the speed figures, as ratios in one run
# A different interpreter: make PYTHON=python3.12 test

PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
# One thread per process: the tests run several processes, and small tensors gain nothing from more threads.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# By file, so that what a file prepares is prepared once. (pytest-xdist 3.8 loses --dist loadgroup under pytest 9.)
PARALLEL ?= -n 2 --dist loadfile
# The same examples of property tests in every run; without it (plain pytest) each run looks for new ones.
EXAMPLES ?= --hypothesis-profile=gate

.PHONY: run test lint types tests bench chromium clean
.DEFAULT_GOAL := run

run: .venv/.installed
	$(BIN)/python -m streamlit run app.py --server.showEmailPrompt=false

test: lint types tests

lint: .venv/.installed-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: .venv/.installed-dev
	$(BIN)/python -m mypy

tests: .venv/.installed-dev chromium
	$(TEST_ENV) $(BIN)/python -m pytest $(EXAMPLES) -m "not alone" $(PARALLEL) </dev/null
	$(TEST_ENV) $(BIN)/python -m pytest $(EXAMPLES) tests -m alone </dev/null

bench: .venv/.installed-dev
	@for file in benchmarks/bench_*.py; do \
		name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; \
	done

# Debian's browser for the browser tests. Without it and without rights to install it they are skipped, except in CI.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then as=""; else as="sudo -n"; fi; \
		echo "installing chromium for the browser tests"; \
		$$as env DEBIAN_FRONTEND=noninteractive sh -c \
			'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null' </dev/null \
		|| { echo "no chromium: install it (apt-get install chromium) to run the browser tests" >&2; [ -z "$$CI" ]; }; \
	}

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: requirements.txt | .venv/bin/python
	$(PIP) install -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(PIP) install -r requirements-dev.txt
	@touch $@ .venv/.installed

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
