# Every chore of the project. "make help" lists them; each makes the environment that it needs.
#
#   make test                       with the first Python >= 3.11 found on PATH
#   make test PYTHON=python3.13     with that one; each Python has an environment of its own
#   make test VENV=~/my-env          with an environment of yours, in which nothing is installed

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python3.15 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Full version and ABI, such as 3.13.0 or 3.13.0t: an upgraded Python gets a new environment.
IDENTITY   := import sys; print("%d.%d.%d" % sys.version_info[:3] + sys.abiflags)

ifndef PYTHON
PYTHON := $(shell for python in $(CANDIDATES); do \
	if $$python -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then echo $$python; break; fi; done)
endif

ifdef VENV
# Yours: nothing to make, nothing to install.
else
VENV    := .venv-$(shell $(or $(PYTHON),false) -c '$(IDENTITY)' 2>/dev/null)
CRAWLER := $(VENV)/.has-crawler
TEST    := $(VENV)/.has-test
BENCH   := $(VENV)/.has-bench
DOCS    := $(VENV)/.has-docs
endif

BIN     := $(VENV)/bin
RUN     := $(BIN)/python
LOCK    := requirements/constraints.txt
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint $(LOCK)
CHECKED  = miniloop $(wildcard crawler) $(wildcard benchmarks) $(wildcard website)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ To see it
.PHONY: help demo bench docs docs-serve
help: ## list these chores
	@awk 'BEGIN { FS = ":.*## "; print "usage: make CHORE [PYTHON=python3.X]" } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

demo: $(CRAWLER) ## crawl the embedded site on miniloop and on asyncio, side by side
	$(RUN) -m crawler.demo

bench: $(BENCH) ## measure and draw all figures (ARGS='--only "callbacks/*"': print some rows)
	$(RUN) -m $(if $(ARGS),benchmarks $(ARGS),benchmarks.figures)

# MkDocs' theme warns of a later MkDocs than the one that the lock names.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(DOCS) ## build the site: open site/index.html
	$(RUN) -m mkdocs build --quiet
	@echo "open $(abspath site/index.html)"

docs-serve: export NO_MKDOCS_2_WARNING = 1
docs-serve: $(DOCS) ## show the site, and build it anew whenever a page changes (ARGS='-a :8000')
	$(RUN) -m mkdocs serve $(ARGS)

.PHONY: tour
tour: | python ## the tour of the loop as pages, with recordings to step through (docs/tour/pages)
	$(PYTHON) -m docs.tour.site

# What "make test" does before the tests. CI leaves out what another Python of it has checked.
CHECKS := lint types

##@ To check it
.PHONY: test lint types unit compiled test-compiled pure conformance shuffled soak
test: $(CHECKS) unit ## everything that CI runs, on one Python

lint: $(TEST) ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TEST) ## mypy --strict
	$(BIN)/mypy --strict $(CHECKED)

unit: $(TEST) ## the test suite, conformance included (ARGS='-k timer' and the like)
	$(RUN) -m pytest $(ARGS)

compiled: $(TEST) ## build the compiled kernel, for this Python (needs a C compiler); "make pure" undoes it
	$(INSTALL) --requirement requirements/compiled.in
	MINILOOP_PURE=1 $(RUN) -m miniloop.compiled.build

test-compiled: compiled ## build it, and test it: kernel, network, random programs, CPython's tests
	env -u MINILOOP_PURE $(RUN) -m pytest \
	  $(or $(ARGS),tests/compiled tests/kernel tests/net tests/differential tests/conformance)

pure: ## remove what "make compiled" has built
	rm -rf miniloop/compiled/built

conformance: $(TEST) ## CPython's own asyncio tests on this loop: a table per module
	$(RUN) -m tests.conformance $(ARGS)

shuffled: $(TEST) ## CPython's tests and those of libraries, each in 100 random legal orders: an hour
	$(RUN) -m tests.shuffled --libraries 100 $(ARGS)

soak: $(TEST) ## random programs, a million of each kind, and every failing call: hours
	$(RUN) -m pytest -m soak --timeout 0 $(ARGS)

##@ To change it
.PHONY: format lock env clean pictures
format: $(TEST) ## let ruff rewrite what lint would complain of
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: $(TEST) ## draw docs/images from the code, and from a browser (Python 3.13, chromium)
	$(RUN) -m website.pictures
	$(RUN) -m tests.study.picture

env: $(TEST) ## make the environment, and say where it is
	@echo $(abspath $(VENV))

lock: | python ## pin the newest versions of everything, for all Pythons at once
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'
	.venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --all-extras --no-emit-index-url --custom-compile-command 'make lock' \
	  --output-file $(LOCK) pyproject.toml requirements/build.in requirements/compiled.in
	rm -rf .venv-lock

clean: ## remove environments, caches and outputs
	rm -rf .venv .venv-* build dist site miniloop/compiled/built *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f .coverage .coverage.* foundurls.txt followed.txt urls.txt
	find miniloop crawler benchmarks website tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# ---- environments ---------------------------------------------------------------------------
.PHONY: python
python:
	@$(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  echo "error: no Python 3.11 or newer found (looked for: $(or $(PYTHON),$(CANDIDATES)))." >&2; \
	  echo "       Install one, or name it: make $(or $(MAKECMDGOALS),help) PYTHON=/path/to/python3" >&2; \
	  exit 1; }

# New pins, or another Python: a new environment, so that nothing of the old one stays behind.
$(VENV)/.made: pyproject.toml $(LOCK) requirements/build.in | python
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --requirement requirements/build.in
	@touch $@

$(VENV)/.has-crawler: $(VENV)/.made
	$(INSTALL) --no-build-isolation --editable '.[crawler]'
	@touch $@

$(VENV)/.has-test: $(VENV)/.made
	$(INSTALL) --no-build-isolation --editable '.[crawler,test,dev]'
	@touch $@ $(VENV)/.has-crawler

$(VENV)/.has-docs: $(VENV)/.made
	$(INSTALL) --no-build-isolation --editable '.[docs]'
	@touch $@

$(VENV)/.has-bench: $(VENV)/.made
	$(INSTALL) --no-build-isolation --editable '.[crawler,bench,test,dev]'
	@touch $@ $(VENV)/.has-crawler $(VENV)/.has-test
