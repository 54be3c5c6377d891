# Needs Python 3.10-3.13 and make. `make lab` and `make test` are all that most people need.
# The first interpreter of the right version that runs; choose another by `make lab PYTHON=...`
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
export UV_PYTHON_DOWNLOADS := never
export TF_CPP_MIN_LOG_LEVEL := 2
BIN := .venv/bin
EXTRAS := --extra course --extra test --extra cluster
# Jupyter refuses to start as root unless told; without a display it only prints the address
LAB_FLAGS := $(if $(filter 0,$(shell id -u)),--allow-root) $(if $(filter Darwin,$(shell uname)),,$(if $(DISPLAY)$(WAYLAND_DISPLAY),,--no-browser))

.PHONY: help lab test notebooks lint format lock times browser tables
help:            ## this list
	@sed -n 's/^\([a-z.]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
.venv: .venv/done
.venv/done: requirements.txt pyproject.toml      ## the environment, made once, remade when the lock changes
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found: install one, or say make lab PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	awk '/^uv==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements.txt > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
lab: .venv/done  ## open JupyterLab on the first lesson
	$(BIN)/jupyter lab --ip=127.0.0.1 $(LAB_FLAGS) notebooks/00_start_here.ipynb
test: .venv/done ## run all tests, notebooks included
	$(BIN)/python -m pytest
notebooks: .venv/done  ## re-execute every lesson in place
	$(BIN)/python tools/lessons.py execute
times: .venv/done  ## measure every lesson, and write the README's map and the navigation bars
	$(BIN)/python tools/lessons.py measure
lint: .venv/done ## check code and notebooks
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
format: .venv/done ## format code and notebooks
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
lock: .venv/done ## remake requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.10 $(EXTRAS) pyproject.toml -o requirements.txt
