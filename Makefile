# Everything a newcomer needs: `make demo`, `make tour`, `make test`, `make check`, `make bench`. Each sets up what it needs.
# Needs Python 3.11 or newer and make; nothing else. PYTHON names another interpreter.

PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready
UV     := uv==0.13.8

STAGE  := $(if $(STORE),--store "$(STORE)") $(if $(TRANSPORT),--transport "$(TRANSPORT)")

export UV_PROJECT_ENVIRONMENT := .venv
export UV_LINK_MODE := copy
export UV_SYSTEM_CERTS := 1
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo tour test test-heavy cover check format bench lock clean

help:
	@echo "make demo        try it in the browser; PORT=8300 STORE=postgres TRANSPORT=http KEEP=folder NO_BROWSER=1"
	@echo "make tour        play the whole story: request, approval, access, ending, review, verification"
	@echo "make test        run the tests (under 3 minutes)"
	@echo "make test-heavy  also crashes, sshd and a browser; a missing provider is a failure here"
	@echo "make cover       branch coverage of bot/core by its own tests; less than 95 % fails"
	@echo "make check       format, lint and type checks"
	@echo "make bench       timings, as ratios against a floor measured in the same run"

$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Breakglass needs Python 3.11 or newer. Name one: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "Setting up .venv (about half a minute, once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV) \
	  && $(BIN)/uv sync --frozen --quiet --python $(BIN)/python \
	  || { echo "The packages could not be had. Setting up needs the network (or a mirror of PyPI), once."; exit 1; }
	@touch $@

demo: $(READY)
	@exec $(BIN)/breakglass demo $(STAGE) $(if $(PORT),--port "$(PORT)") $(if $(KEEP),--keep "$(KEEP)") \
	  $(if $(NO_BROWSER),--no-browser)

tour: $(READY)
	@exec $(BIN)/breakglass demo --tour $(STAGE)

test: $(READY)
	@$(BIN)/pytest -n 2 --dist loadgroup -m "not heavy"

test-heavy: $(READY)
	@BREAKGLASS_REQUIRE_PROVIDERS=1 $(BIN)/pytest -n 2 --dist loadgroup -m heavy

cover: $(READY)
	@$(BIN)/python -m tests.cover

check: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/uv lock --check --quiet || { echo "uv.lock is behind pyproject.toml. Run: make lock"; exit 1; }

format: $(READY)
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

bench: $(READY)
	@$(BIN)/python -m tests.bench

lock:
	@$(BIN)/uv lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
