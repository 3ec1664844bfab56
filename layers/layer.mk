# What the layers' Makefiles share. `sam build` calls `make build-<logical id>` in a copy of the layer's
# folder, with ARTIFACTS_DIR set; neither Docker nor the target's Python is needed.

# AWS runs the layers on arm64; the local stack builds them for this machine.
CTS_LAYER_PLATFORM ?= aarch64-manylinux_2_28
CTS_LAYER_PYTHON ?= 3.13

ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/..)
export UV_CACHE_DIR ?= $(ROOT)/.tools/cache/uv
UV := $(or $(wildcard $(ROOT)/.venv/bin/uv),uv)
PACKAGES := $(ARTIFACTS_DIR)/python

install = $(UV) pip install --quiet --target $(PACKAGES) --only-binary :all: \
  --python-platform $(CTS_LAYER_PLATFORM) --python-version $(CTS_LAYER_PYTHON) \
  --require-hashes --requirement $(1)

# Without bytecode imports take two to three times as long, and Lambda cannot keep what it compiles.
# Only an interpreter of the layer's own minor version writes what that version reads.
PYTHONS := $(ROOT)/.venv/bin/python python$(CTS_LAYER_PYTHON) \
  $(wildcard $(HOME)/.pyenv/versions/$(CTS_LAYER_PYTHON).*/bin/python)
IS_RIGHT := import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(CTS_LAYER_PYTHON)")
PYTHON := $(firstword $(foreach python,$(PYTHONS),\
  $(shell $(python) -c '$(IS_RIGHT)' 2>/dev/null && echo $(python))))

bytecode = $(if $(PYTHON),\
  $(PYTHON) -m compileall -q --invalidation-mode unchecked-hash -s $(PACKAGES) -p /opt/python $(PACKAGES),\
  @echo "No Python $(CTS_LAYER_PYTHON) here, so no bytecode: cold starts will take longer." >&2)
