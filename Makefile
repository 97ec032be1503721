# Two commands matter: `make demo` and `make test`. Both do their own set-up in .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

# Where there is a GPU, the wheel with CUDA; elsewhere the small CPU build, from PyTorch's own index
# where the machine's package sources do not already offer one.
TORCH_INDEX := $(if $(shell command -v nvidia-smi 2>/dev/null),,--extra-index-url https://download.pytorch.org/whl/cpu)

.PHONY: demo test lint bench setup clean

demo: $(VENV)/.ready
	$(RUN)/anymic demo --out demo

test: $(VENV)/.ready-dev
	$(RUN)/python -m pytest

lint: $(VENV)/.ready-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy src

bench: $(VENV)/.ready-dev
	$(RUN)/python benchmarks/run.py

setup: $(VENV)/.ready-dev

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(RUN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(RUN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist
