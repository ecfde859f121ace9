# Lenta. `make help` is the table of contents.
#
# Variables: DATA=folder MAPPING=file UNTIL=time (what `make up` loads), GATEWAY_PORT= FEATURE_SERVICE_PORT=
# RANKER_CONTROL_PORT= RANKER_TEST_PORT= INGEST_PORT= CONSOLE_PORT=, LENTA_HOME= (where the platform keeps its state),
# PYTHON= (3.11 or later), PACKAGE=gateway (whose tests `make unit` and `make test` run), ARGUMENTS=--quick (of the long
# measurements), VERSION= DRY=1 (of `make release`).

.DEFAULT_GOAL := help
.PHONY: help up down status logs check load unit coverage test fuzz chaos soak benchmark bounds full public weeks mutants lint types docs docs-serve lock release wheels images sbom clean
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

PYTHON ?= python3
LENTA_HOME ?= $(CURDIR)/.lenta
export LENTA_HOME
# A machine that writes no bytecode compiles what a process imports at each of its starts: twice the time, often.
unexport PYTHONDONTWRITEBYTECODE
# Only what is set: a service refuses an empty port.
optional := DATA MAPPING UNTIL GATEWAY_PORT FEATURE_SERVICE_PORT RANKER_CONTROL_PORT RANKER_TEST_PORT INGEST_PORT CONSOLE_PORT
$(foreach name,$(optional),$(if $($(name)),$(eval export $(name))))

setup := infra/local/setup $(PYTHON)
lenta := .venv/bin/lenta
sources := $(wildcard libs/*/src */src clients/*/src)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## set everything up and start the platform; DATA=folder loads your tables instead of the demo world
	@$(setup) local
	@$(lenta) up

down: ## stop what `make up` started; the data stay
	@[ ! -x $(lenta) ] || $(lenta) down

status: ## what runs, whether it is ready, its memory
	@$(setup) local
	@$(lenta) status

logs: ## follow the logs of all services
	@tail -n 20 -F "$(LENTA_HOME)"/logs/*.log

check: ## the platform's acceptance: quality, latency, memory, against the running platform
	@$(setup) local
	@$(lenta) check

load: ## more and more users, each answer checked, until the running platform is at its knee; writes .lenta/load.html
	@$(setup) development
	@infra/local/load

unit: ## the unit tests alone, on all cores; PACKAGE=gateway: those of one package
	@$(setup) development
	@.venv/bin/pytest -q -n logical tests/$(or $(PACKAGE),*)/unit

coverage: ## the unit tests, and how much of the code they run: never less than pyproject.toml says
	@$(setup) development
	@.venv/bin/pytest -q -n logical --cov --cov-report=term:skip-covered tests/*/unit

test: ## unit, contract, integration, chaos and end-to-end tests, on real servers; PACKAGE=gateway: those of one package
	@$(setup) development
	@.venv/bin/pytest -n logical --dist loadfile --durations 15 --durations-min 1 $(if $(PACKAGE),tests/$(PACKAGE),--ignore tests/benchmarks --ignore tests/load)

fuzz: ## 10,000 odd requests, and odd entries of the log, orders of events, lives of experiments and damaged models: forty times the suite's
	@$(setup) development
	@LENTA_FUZZ=40 .venv/bin/pytest --timeout 3600 tests/contract/test_api_fuzz.py tests/feature_service/integration/test_poison.py tests/feature_service/integration/test_any_order.py tests/feature_service/integration/test_experiment_life.py tests/ranking/integration/test_artefact.py

chaos: ## each part killed, stopped, restarted, slowed, its disk filled, under load: what users see of it; ARGUMENTS=--quick
	@$(setup) development
	@.venv/bin/python -m tests.chaos.accidents $(ARGUMENTS)

soak: ## half an hour at half the knee: memory of every process and latency over time, in a plot; ARGUMENTS=--quick
	@$(setup) development
	@.venv/bin/python -m tests.benchmarks.soak $(ARGUMENTS)

benchmark: ## Lenta beside a pandas monolith, Feast, MLServer and BentoML: a table and a page; installs these in .lenta/beside
	@$(setup) development
	@infra/local/beside $(PYTHON)
	@.venv/bin/python -m tests.benchmarks.beside $(ARGUMENTS)

bounds: ## what Lenta's parts take, by itself; prints tables and holds generous bounds
	@$(setup) development
	@.venv/bin/pytest -s tests/benchmarks

full: ## the offline side at full size: 76 million rows, 10 GB of disk; prints a table, holds its bars; killed, it goes on
	@$(setup) development
	@.venv/bin/python -m tests.benchmarks.full

public: ## Lenta's models beside strong peers on public sets, in one table; installs peers of their own in .lenta/peers
	@$(setup) development
	@infra/local/peers $(PYTHON)
	@OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.public

weeks: ## what four weeks of serving and nightly training come to, with and without exploration, on a simulated world
	@$(setup) development
	@OMP_NUM_THREADS=1 .venv/bin/python -m tests.benchmarks.weeks

mutants: ## the mutation score of the experiments' statistics: every small fault, and which no unit test notices
	@$(setup) development
	@.venv/bin/python infra/mutants/mutants.py

lint: ## style, formatting, arrows between packages and rooms, declared dependencies, the locks' freshness
	@$(setup) development
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports
	.venv/bin/python infra/architecture/rooms.py --check
	requirements/declared
	requirements/fresh

types: ## mypy, strict
	@$(setup) development
	.venv/bin/mypy $(sources)
	.venv/bin/mypy --explicit-package-bases tests

docs: ## the documentation as a site, in site/; a link that leads nowhere fails it
	@$(setup) development
	@.venv/bin/zensical build --clean --strict

docs-serve: ## the documentation while you write it
	@$(setup) development
	@.venv/bin/zensical serve

lock: ## compile the hashed locks from the pyproject files
	@$(setup) development
	requirements/compile

release: ## VERSION=0.3.0: versions, changelog and image tags in one commit, and a tag; DRY=1 only prints the change
	@$(PYTHON) infra/release/release.py $(if $(DRY),--dry) "$(VERSION)"

wheels: ## every package as a wheel in dist/wheels, for `pip install --find-links dist/wheels lenta-pipeline[local]`
	@$(setup) development
	@rm -rf dist/wheels
	@.venv/bin/uv build --quiet --all-packages --wheel --no-build-isolation --python .venv/bin/python --out-dir dist/wheels

images: ## REGISTRY=registry.example/lenta: every image, labelled, for a registry of your own; PUSH=1 pushes
	@infra/docker/images "$(REGISTRY)" $(if $(PUSH),--push)

sbom: ## what every container runs, as CycloneDX documents in dist/sbom
	@$(setup) development
	@infra/release/sbom dist/sbom

clean: ## stop the platform and remove its data
	@[ ! -x $(lenta) ] || $(lenta) down --clean
	@rm -rf "$(LENTA_HOME)"
