# Everything that the targets need or create is in the project: .venv, .tools, .local, build.
# `make setup` runs by itself before the first target that needs it.

PYTHON ?= python3
WORKERS ?= 9
BIN := .venv/bin

# Layers are built with uv; it and the tools that `local` fetches come before anything on the machine.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export UV_CACHE_DIR := $(CURDIR)/.tools/cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.tools/cache/pip
export __SAM_CLI_APP_DIR := $(CURDIR)/.local/sam
export SAM_CLI_TELEMETRY := 0
# Without bytecode every process would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE
export TMPDIR := $(CURDIR)/.local/tmp

.PHONY: help setup demo local down test check unit soak mutate findings bench cost format lock audit clean unit-config unit-others test-e2e test-others test-unit-config test-unit-others test-coverage

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' Makefile

setup: .local/tmp .venv/.ready ## set up the project environment in .venv

.local/tmp:
	@mkdir -p $@

.venv/.ready: requirements-dev.txt pyproject.toml layers/hcl/grammar.py | .local/tmp
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is older. Name one: make PYTHON=python3.13"; exit 1; }
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet uv; }
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	cd .venv/lib/python*/site-packages/hcl2 && $(CURDIR)/$(BIN)/python $(CURDIR)/layers/hcl/grammar.py grammar.bin
	@touch $@

demo: setup ## show a change in Consul becoming an applied Terraform run; DRIVER=terraform-cloud: in HCP Terraform
	$(BIN)/python -m local.demo $(DRIVER)

local: setup ## run a local stack
	$(BIN)/python -m local up

down: setup ## stop the local stack from another terminal
	$(BIN)/python -m local down

test: setup ## run all tests except the soak tests; coverage must not fall
	$(MAKE) --jobs 4 --no-print-directory test-e2e test-coverage
	@grep ^TOTAL .local/covered.txt

# Apart, as each worker of pytest-xdist collects all of the tests, and reports each one. The
# end-to-end tests, which mostly wait, need more workers than the others, and cover nothing: what
# they test runs in other processes. They go first, as they take longest, and the unit tests last:
# they never wait, and so fill the time that is left.
CONFIG := tests/unit/test_c*.py
OTHERS := tests/unit/test_[!c]*.py
TOGETHER := --dist loadscope --no-loadscope-reorder
COVERED := --cov --cov-report= --cov-fail-under=0
# Without what pytest and its plugins do before and after each of thousands of unit tests, and few
# of them need.
BARE := --capture=sys --randomly-dont-reset-seed
BRIEF := --hypothesis-profile=brief
test-e2e: SOME = -n $(WORKERS) $(TOGETHER) tests/e2e
test-others: SOME = -n 3 $(TOGETHER) tests --ignore tests/e2e --ignore tests/unit $(COVERED)
test-unit-config: SOME = -n 0 tests/unit --ignore-glob '$(OTHERS)' $(BARE) $(BRIEF) $(COVERED)
test-unit-others: SOME = -n 0 tests/unit --ignore-glob '$(CONFIG)' $(BARE) $(BRIEF) $(COVERED)
test-others: PRIORITY = nice -n 5
test-unit-config test-unit-others: PRIORITY = nice -n 10
test-coverage: test-others test-unit-config test-unit-others
	$(BIN)/coverage combine -q .local/coverage.others .local/coverage.unit-config .local/coverage.unit-others
	$(BIN)/coverage report > .local/covered.txt || { cat .local/covered.txt; exit 2; }
test-e2e test-others test-unit-config test-unit-others:
	COVERAGE_FILE=.local/coverage.$(@:test-%=%) $(PRIORITY) $(BIN)/pytest $(SOME) -m "not soak"

check: setup ## check format, lint, types, template and imports, in seconds
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sam validate --lint --region us-east-1
	$(BIN)/sam validate --lint --region us-east-1 --template examples/run-report/template.yaml
	$(BIN)/pytest -q -n 0 tests/unit/test_architecture.py

# Two processes with half of the files each: each worker of pytest-xdist would collect all of them.
unit: setup ## test the pure parts, and the workflows with fakes, in seconds: without the slow tests
	$(MAKE) --jobs 2 --output-sync --no-print-directory unit-config unit-others

# Not as a list of files: pytest would read the folder again for each of them.
unit-config unit-others:
	$(BIN)/pytest -q -n 0 $(BARE) -p no:hypothesispytest -m "not soak and not slow" tests/unit --ignore-glob '$(LEFT_OUT)'
unit-config: LEFT_OUT = $(OTHERS)
unit-others: LEFT_OUT = $(CONFIG)

soak: setup ## test ten of each fault, 500 tasks, 10,000 instances, 10,000 broken configurations, 10 minutes of random requests; writes docs/reports/
	$(BIN)/python -m pytest -n 4 $(TOGETHER) -m soak -p tests.e2e.soak $(SEED:%=--randomly-seed=%)

mutate: setup ## break the product in more than four hundred ways; the tests must notice each one (an hour or more)
	$(BIN)/python -m tests.mutations

findings: ## reproduce unexpected behaviour of real tools, in temporary folders
	@for script in findings/*.sh; do echo "== $$script"; bash $$script || exit 1; done

bench: setup ## measure the latency from change to apply, and of cts status; writes build/bench.json
	$(BIN)/python -m tests.bench

cost: setup ## compute what a stack costs in a month; writes docs/cost.md
	$(BIN)/python -m cost

format: setup ## format, and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Layers and tests use the same versions, chosen once.
lock: setup ## update all dependencies to their newest versions
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --group dev \
	  pyproject.toml layers/*/requirements.in -o requirements-dev.txt
	for layer in deps hcl; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --generate-hashes \
	    --constraints requirements-dev.txt layers/$$layer/requirements.in -o layers/$$layer/requirements.txt; \
	done

audit: setup ## look up known vulnerabilities of the packages in the layers
	$(BIN)/uvx pip-audit@2.10.1 --strict --disable-pip --require-hashes $(patsubst %,--requirement %,$(wildcard layers/*/requirements.txt))

clean: ## remove everything that the targets created, including .venv
	rm -rf .venv .tools .local .aws-sam build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
