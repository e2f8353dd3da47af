# Set-up, demo and tests on a fresh machine: needs only make and a Python from 3.10 on.
PYTHON ?= $(firstword $(foreach p,python3.14 python3.13 python3.12 python3.11 python3.10 python3,$(shell $(p) -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test unit lint setup setup-test chromium golden clean

demo: setup ## capture ResNet-50 on PyTorch 1.13 and 2.0, and diff them
	$(BIN)/profkit capture resnet50 --torch 1.13 --torch 2.0
	@echo
	$(BIN)/profkit diff logs/1.13 logs/2.0
	@echo
	@echo "Wrote logs/1.13/resnet50 and logs/2.0/resnet50. Next:"
	@echo "  $(BIN)/profkit ops logs/2.0/resnet50 --by shape      which shapes the time went to"
	@echo "  $(BIN)/profkit diff logs/1.13 logs/2.0 -o diff.html  one page, with pictures"
	@echo "  $(BIN)/profkit capture resnet50 --torch 2.0 --mode frozen"
	@echo "  $(BIN)/profkit capture --help"

test: setup-test chromium lint ## everything: lint, types, layers, unit tests, live tests
	$(BIN)/python -m pytest -m "not live" --numprocesses auto
	$(BIN)/python -m pytest -m live --numprocesses 2 --dist loadfile --no-loadscope-reorder

unit: setup-test ## the tests that make no environments
	$(BIN)/python -m pytest -m "not live" --numprocesses auto

lint: setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: setup-test ## renew tests/golden after a wanted change of the output; look at the diff
	PROFKIT_RENEW_GOLDEN=1 $(BIN)/python -m pytest tests/unit

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python from 3.10 on found; install one, or say make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[tensorboard,parquet,pandas,fleet]' --group dev
	@touch $@

chromium: ## a browser for the tests of pages, from the system's packages where that may be done
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  $$([ "$$(id -u)" = 0 ] || echo sudo -n) sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium' >/dev/null; } || \
	  echo "make: no Chromium, and it cannot be installed from here: the tests of pages are skipped (Debian: apt-get install chromium)"

clean:
	rm -rf $(VENV) dist build
