# Every target makes what it needs first. What a recipe cannot say in a line or two is in hack/.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# The control planes of the tests take memory rather than time: a tenth of the CPU was their garbage collection.
test test-cluster: export GOGC := 400
# Each of the hundreds of processes that the tests start would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SITE_TOOLS := build/site-tools/.installed
PYTEST := $(BIN)/pytest
# Each worker has a control plane and emulators of its own; most tests wait more than they compute. The long
# tests come first, or one worker would be left with them at the end.
SIDE_BY_SIDE := -n 3 --dist worksteal

.PHONY: help setup lock generate format lint types layers check test test-unit test-chart test-contract \
	test-cluster test-browser screenshots testdata snapshots stage controlplane node helm kinds promlint prometheus azurite browser emulators demo \
	demo-down crash rbac cost day memory transfer transfer-bench transfer-faults quickstart property clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv with the locked dependencies and this package

$(INSTALLED): requirements/dev.txt pyproject.toml hack/setup.sh
	@sh hack/setup.sh $(VENV)
	@touch $@

lock: $(INSTALLED) ## Write requirements/*.txt anew from pyproject.toml
	@$(BIN)/python -m hack.lock

generate: $(INSTALLED) ## Render CRDs and reference pages from the models
	@$(BIN)/python hack/generate.py

format: $(INSTALLED) ## Format the code
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

lint: $(INSTALLED) ## Lint the code
	@$(BIN)/ruff check .

types: $(INSTALLED) ## Check the types
	@$(BIN)/mypy

layers: $(INSTALLED) ## Check that each layer uses only what stands below it
	@$(BIN)/lint-imports --no-logo

check: $(INSTALLED) lint types layers ## Check formatting, code, types, layers and generated files; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/python hack/generate.py --check

test: $(INSTALLED) controlplane node helm kinds promlint prometheus azurite browser $(SITE_TOOLS) ## Run all tests
	@$(PYTEST) $(SIDE_BY_SIDE) tests/faults tests/property tests/cluster tests/browser tests/contract tests/chart tests/unit

test-unit: $(INSTALLED) ## Run the tests that need nothing else
	@$(PYTEST) tests/unit

test-contract: $(INSTALLED) azurite ## Run the tests that hold the emulators to the remote services' rules
	@$(PYTEST) tests/contract

test-chart: $(INSTALLED) controlplane helm prometheus ## Run the tests of the Helm chart and of Kustomize, without a cluster
	@$(PYTEST) tests/chart

test-cluster: $(INSTALLED) controlplane node helm kinds promlint prometheus ## Run the tests on a real API server
	@$(PYTEST) tests/cluster

test-browser: $(INSTALLED) controlplane browser $(SITE_TOOLS) ## Run the tests in a real browser
	@$(PYTEST) tests/browser

screenshots: $(INSTALLED) controlplane browser ## Take the documentation's pictures anew
	@SCREENSHOTS=docs/images/authorize $(PYTEST) tests/browser

testdata: $(INSTALLED) controlplane ## Record the objects that the scripts for Argo CD are tested with
	@ARGOCD_TESTDATA=1 $(PYTEST) tests/cluster/test_argocd.py

stage: $(INSTALLED) controlplane ## Record what this version leaves, for the tests of upgrades; STAGE=NAME, COMMIT=COMMIT
	@$(BIN)/python -m tests.upgrade $(if $(STAGE),$(STAGE),$(error STAGE=NAME is missing)) $(if $(COMMIT),--commit $(COMMIT))

snapshots: $(INSTALLED) helm ## Render the chart's snapshots anew
	@SNAPSHOTS=write $(PYTEST) tests/chart/test_render.py -k what_it_was

.PHONY: terminals
terminals: $(INSTALLED) controlplane node azurite ## Draw what the demo and the plugin print, for the documentation
	@$(BIN)/python -m hack.terminals

.PHONY: dashboard
dashboard: build/pictures/.installed prometheus ## Draw the dashboard's panels from demo data, for the documentation
	@build/pictures/bin/python -m hack.dashboard

build/pictures/.installed: requirements/pictures.txt
	@python3 -m venv --clear build/pictures
	@build/pictures/bin/python -m pip --quiet install --require-hashes -r $<
	@touch $@

.PHONY: docs
docs: $(SITE_TOOLS) ## Build the documentation into build/site, and check its links
	@$(BIN)/python -m hack.site

$(SITE_TOOLS): $(INSTALLED) requirements/site.txt
	@$(BIN)/python -m venv --clear build/site-tools
	@build/site-tools/bin/python -m pip --quiet install --require-hashes -r requirements/site.txt
	@touch $@

.PHONY: image image-test sbom
image: $(INSTALLED) ## Build the image with docker or buildah; IMAGE=NAME, BASE=IMAGE with Python 3.11
	@$(BIN)/python -m hack.image $(if $(IMAGE),--tag $(IMAGE)) $(if $(BASE),--base $(BASE))

image-test: $(INSTALLED) controlplane ## As root on Debian, without a registry: build the image and run it (10 minutes)
	@$(PYTEST) tests/image

sbom: $(INSTALLED) ## Write build/sbom: what the operator is made of (CycloneDX), and its licenses
	@$(BIN)/python -m hack.sbom

controlplane: $(INSTALLED) ## Build etcd, kube-apiserver, kube-controller-manager and kubectl, once
	@$(BIN)/python -m hack.controlplane build >/dev/null

node: $(INSTALLED) controlplane ## Build a node for it, whose pods are processes of this machine, once; Linux
	@$(BIN)/python -m hack.node >/dev/null

helm: $(INSTALLED) ## Build Helm, once
	@$(BIN)/python -m hack.helm >/dev/null

kinds: $(INSTALLED) ## Fetch the kinds of Argo CD, Flux and the Prometheus Operator that our manifests use, once
	@$(BIN)/python -m hack.foreign_kinds >/dev/null

promlint: $(INSTALLED) ## Build Prometheus' own parser of metrics, once
	@$(BIN)/python -m hack.promlint >/dev/null

prometheus: $(INSTALLED) ## Find Prometheus for the tests of alerts; on Debian, fetch it, once
	@$(BIN)/python -m hack.prometheus >/dev/null

azurite: $(INSTALLED) ## Install Azurite, the emulators' blob service, once
	@$(BIN)/python -m hack.azurite >/dev/null

browser: $(INSTALLED) ## Find Chromium for the browser tests; as root on Debian, install it
	@$(BIN)/python -m hack.browser >/dev/null

emulators: $(INSTALLED) ## Run the emulators in the foreground; prints their URLs as one JSON line
	@$(BIN)/python -m tests.emulators

demo: ## Show the main job; CLUSTER=current uses your cluster, DEMO_KEEP=0 stops everything at the end
	@python=$$(sh hack/setup.sh --python) && $$python -m hack.prepare
	@$(BIN)/python -m hack.demo up

demo-down: $(INSTALLED) ## Stop the demo
	@$(BIN)/python -m hack.demo down

crash: $(INSTALLED) controlplane node azurite ## Kill the operator and its Jobs at every moment that matters; REPORT=FILE writes a page
	@$(BIN)/python -m tests.faults crash $(if $(REPORT),--report $(REPORT)) $(ARGS)

rbac: $(INSTALLED) controlplane helm ## Print each of the operator's rights with what fails without it
	@$(BIN)/python -m tests.rights $(ARGS)

cost: $(INSTALLED) controlplane azurite ## Count remote calls and writes, of one object and of 1,000; REPORT=FILE likewise
	@$(BIN)/python -m tests.faults cost $(if $(REPORT),--report $(REPORT)) $(ARGS)

day: $(INSTALLED) controlplane ## Let 200 connections share a Zoho credential for a day of a moved clock; REPORT=FILE likewise
	@$(BIN)/python -m tests.faults day $(if $(REPORT),--report $(REPORT)) $(ARGS)

memory: $(INSTALLED) controlplane ## Measure the operator's memory among 2,000 Secrets of 100 kB; REPORT=FILE likewise
	@$(BIN)/python -m tests.faults memory $(if $(REPORT),--report $(REPORT)) $(ARGS)

transfer: $(INSTALLED) controlplane node azurite ## Take 450,000 records through the landing zone and compare them; REPORT=FILE likewise
	@$(BIN)/python -m tests.transfer_full $(if $(REPORT),--report $(REPORT)) $(ARGS)

transfer-faults: $(INSTALLED) controlplane node azurite ## What may happen while windows come through the landing zone
	@TRANSFER_FAULTS=1 $(PYTEST) tests/cluster/test_landing_zone_faults.py

quickstart: $(INSTALLED) controlplane azurite node ## Type the quickstart and every command of the pages in the demo
	@QUICKSTART=1 $(PYTEST) tests/cluster/test_quickstart.py

transfer-bench: $(INSTALLED) ## Measure crmflow transfer beside a bare copy; QUICK=1, REPORT=FILE writes a page
	@$(BIN)/python -m tests.transfer_bench $(if $(QUICK),--quick) $(if $(REPORT),--report $(REPORT)) $(ARGS)

.PHONY: bench
bench: $(INSTALLED) controlplane build/pictures/.installed ## Measure many dataflows beside scripts that make them; ARGS=--quick, --full, --page
	@$(BIN)/python -m tests.bench $(ARGS)

property: $(INSTALLED) azurite ## Run random sequences of edits, ours and others'; REPORT=FILE writes a page
	@$(BIN)/python -m tests.property $(if $(REPORT),--report $(REPORT)) $(ARGS)

clean: ## Remove what was built here; the control plane's binaries stay in your cache folder
	@if [ -x $(BIN)/python ]; then $(MAKE) demo-down; fi
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
