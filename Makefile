# Two commands are enough on a machine with Python 3.11+, make and git: `make run`, `make test`.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt

.PHONY: run test check docs format soak bench vscode clean

run: .venv/installed-run
	$(BIN)/python -m cnngen --backend torch

test: .venv/installed-dev
	$(BIN)/python -m pytest

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation site, in site/index.html: reads without a network.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

format: .venv/installed-dev
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# Minutes, not part of CI; benchmarks/train.py takes longer still.
soak: .venv/installed-dev
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/heap.py
	$(BIN)/python benchmarks/variation.py --laws 10000
	$(BIN)/python benchmarks/verify.py --count 100

bench: .venv/installed-dev
	for script in parse sample emit picture startup memory; do $(BIN)/python benchmarks/$$script.py || exit 1; done

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/installed-run: $(BIN)/uv pyproject.toml constraints.txt
	$(UV) --editable '.[torch]'
	touch $@

.venv/installed-dev: $(BIN)/uv pyproject.toml constraints.txt
	$(UV) --editable '.[dev]'
	touch $@ .venv/installed-run .venv/installed-docs

.venv/installed-docs: $(BIN)/uv pyproject.toml constraints.txt
	$(UV) --editable '.[docs]'
	touch $@

# The extension for VS Code: editors/vscode/dist/cnngen.vsix. Needs Node.js.
vscode:
	cd editors/vscode && npm install --no-package-lock && npm run package

clean:
	rm -rf .venv dist build site .pytest_cache .ruff_cache .mypy_cache .hypothesis
