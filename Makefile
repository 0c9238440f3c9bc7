# `make site` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup site serve lab test check lint release lock browser clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

setup: $(READY) ## create .venv with the locked versions
$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

site: $(READY) ## build the site into _build/html
	$(BIN)/course site

serve: ## serve the built site on http://localhost:8000
	@test -f _build/html/index.html || { echo "no site yet: run make site"; exit 1; }
	$(BIN)/python -m http.server --bind localhost --directory _build/html 8000

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir notebooks

release: $(READY) ## write the released notebooks from solutions/
	$(BIN)/course release

test: $(READY) browser ## everything CI runs: lint, all tests, the site
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/course site
	OMP_NUM_THREADS=2 $(BIN)/pytest

check: $(READY) ## lint, fast tests, stale releases: under two minutes
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	OMP_NUM_THREADS=2 $(BIN)/pytest -m "not slow"

lint: $(READY) ## format and mend what ruff can
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

# A browser for the tests: the system's Chromium, else Playwright's.
browser: $(READY)
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 \
	|| $(BIN)/playwright install --with-deps chromium >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| { echo "the browser tests need Chromium: install it and try again"; exit 1; }

lock: $(READY) ## resolve pyproject.toml anew into requirements.txt
	$(BIN)/uv pip compile pyproject.toml --extra grading --extra site --extra dev --universal \
	--python-version 3.11 --no-annotate --custom-compile-command "make lock" --quiet -o requirements.txt

clean: ## remove what was built, keep .venv
	rm -rf _build book/chapters
