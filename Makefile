# Everything runs in .venv; the first call makes it (two to three minutes), later ones find it there.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin

.PHONY: demo demo-once test lint format bench docs clean

demo: $(READY)  ## A real Airflow, a local Tablestore and OSS, sample traffic; stays up until Ctrl-C.
	$(BIN)/python -m airflow_provider_sync.localcloud.demo

demo-once: $(READY)  ## The same until the first committed window, which is compared with what was written.
	$(BIN)/python -m airflow_provider_sync.localcloud.demo --once

test: $(READY)  ## All tests, in a real Airflow where that matters.
	$(BIN)/python -m pytest

lint: $(READY)  ## Style, types, and which package may import which.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Figures, one JSON object a line.
	$(BIN)/python bench/stream_speed.py --rows 1000000

docs: $(READY)  ## The page of all parameters, from the code.
	$(BIN)/python docs/make_parameters.py

clean:
	rm -rf $(VENV) .demo .airflow

# constraints.txt holds the versions this was tested with: one resolution for Airflow and the vendors' SDKs.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)
