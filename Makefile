PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

MUTATIONS ?= 300
KILLS ?= 20
SEED ?= 0

.PHONY: demo test test-slow test-browser test-notebook attack docs package lint setup clean build up connect down image-cpu image-cuda

demo: $(STAMP)
	$(BIN)/equireg demo --out demo

# Two processes of one thread each: tiny networks gain nothing from threads. File by file in the order of their names,
# which ends with the quick ones of tests/unit, so that neither process waits long for the other.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# The pages in Chromium; skipped where there is none.
test-browser: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/browser

# Damaged files and killed processes, counted into docs/reliability.md; MUTATIONS of each kind of file, KILLS in all.
# KEEP is a file of finished kinds, with which a long attack can be stopped and continued.
attack: $(STAMP)
	PYTHONPATH=tests/robustness:tests/made_up $(BIN)/python tests/robustness/attack.py \
		--mutations $(MUTATIONS) --kills $(KILLS) --seed $(SEED) $(if $(KEEP),--keep $(KEEP))

# The docs site in site/, strict: each internal link and anchor is checked. Links to elsewhere are listed in
# site/external-links.txt. `make test-notebook` runs the tutorial; TUTORIAL_STEPS=0 trains for its two minutes.
DOCS := $(VENV)/.docs
TUTORIAL_STEPS ?= 40

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --site-dir site

test-notebook: $(DOCS)
	EQUIREG_TUTORIAL_STEPS=$(TUTORIAL_STEPS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o addopts= -o filterwarnings= \
		--nbmake --nbmake-timeout=900 docs/tutorials

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $(DOCS)

# Wheel and source distribution in dist/, checked, and the wheel run in an environment of its own.
RELEASE := $(VENV)/.release

package: $(RELEASE)
	rm -rf build dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	PYTHON=$(BIN)/python tests/package/try_wheel.sh dist/*.whl

$(RELEASE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[release]" "setuptools>=77"
	touch $(RELEASE)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist site src/*.egg-info

# The container, see docs/docker.md. COMPOSE is the command of Docker Compose, NVIDIA_VISIBLE_DEVICES the GPUs of
# `up` and `connect`, DATA a folder of scans to find at /data.
COMPOSE ?= docker compose
CONTAINER = $(COMPOSE) --project-name equireg-$(USER_ID) --file docker/compose.yaml
build up connect down: export USER_ID := $(shell id -u)
build up connect down: export GROUP_ID := $(shell id -g)
up connect: export NVIDIA_VISIBLE_DEVICES := $(NVIDIA_VISIBLE_DEVICES)
up connect: export SCANS := $(abspath $(DATA))

build:
	$(CONTAINER) build

# Images whose entry point is `equireg`, for people who use it.
image-cpu image-cuda:
	docker build --file docker/use.Dockerfile --build-arg DEVICE=$(@:image-%=%) --tag equireg:$(@:image-%=%) .

up:
	docker/up.sh $(CONTAINER)

connect: up
	$(CONTAINER) exec equireg tmux new-session -A -s main

down:
	$(CONTAINER) down
