# make demo   set up .venv, then show the whole path from labels to built networks
# make test   set up, then run every check; the last line counts them
# make docs   set up, then build the site into _docs (open _docs/index.html)
# make bench  set up, then run the benchmarks again; what is already measured is kept, delete its table in benchmarks/results to measure anew
# make clean  remove what the others made, .venv included
#
# The set-up runs once, and again when settings.ini, pyproject.toml or setup.py changes.
# Choose another Python (3.10 or later; the site wants 3.11) with PYTHON=python3.12, another place with VENV=path.
# On Linux PyPI's torch is a CUDA build of several GB; without a GPU, let PIP_EXTRA_INDEX_URL name PyTorch's CPU index.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready

export PATH := $(BIN):$(PATH)
export OMP_NUM_THREADS := 1
unexport PYTHONPATH

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(READY)
	$(BIN)/autobuild demo

test: $(READY)
	$(BIN)/python tools/check.py

docs: $(READY)
	$(BIN)/python tools/docs.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# torchsort is compiled, and optional: SciPy computes the same ranks. Its build asks nvcc for CUDA code whenever
# there is an nvcc, which a CPU build of torch can't compile, so nvcc is hidden then.
$(READY): settings.ini pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(TORCH) "setuptools>=77" ninja
	$(BIN)/python -m pip install -q -e ".[dev]"
	@echo "Compiling torchsort, which is optional, takes about a minute."
	@PATH="$$($(BIN)/python tools/path_without.py nvcc)" $(BIN)/python -m pip install --no-build-isolation -e ".[torchsort]" > $(VENV)/torchsort.log 2>&1 \
	  || echo "torchsort could not be compiled here, so SciPy computes the soft ranks ($(VENV)/torchsort.log says why)."
	@touch $@

clean:
	rm -rf $(VENV) _proc _docs build dist demo *.egg-info .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help demo test docs bench clean
