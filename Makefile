# `make help` lists the targets. Each does its own set-up first, and does none when nothing changed.
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# one worker a core up to four; a module stays on one worker, for its server is started once
# whose death ends the run, for the test that killed it would be tried again and again
SPREAD := -n $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -lt 4 ] && echo $$n || echo 4) --dist loadfile \
	--max-worker-restart 0
CORE := $(addprefix tests/http/v2/test_,pull.py ranges.py uploads.py manifests.py restart.py delete.py)
PACKAGE ?= $(shell ls -t dist/scr-*-linux-$$(uname -m) 2>/dev/null | head -n 1)
SLOW := tests/clients tests/conformance tests/crash tests/fuzz tests/browser
export PATH := $(CURDIR)/.cache/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help serve test check format format-check lint types fast clients conformance stores crash fuzz bench golden \
	lock package package-pyinstaller deb image test-package web texts browser setup setup-dev setup-clients clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

serve: setup ## set up and serve on 127.0.0.1:5000 (data in ./data)
	.venv/bin/scr serve

test: setup-dev setup-clients format-check lint types ## set up, then every check and every test
	$(PYTEST) $(SPREAD) tests
	for store in folder-encrypted s3 s3-encrypted; do $(PYTEST) $(SPREAD) --store $$store $(CORE) || exit 1; done

check: format-check lint types fast ## what each commit must pass: format, lint, types, fast tests

format: setup-dev ## write the code in the project's format
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix-only

format-check: setup-dev
	$(PYTHON) -m ruff format --check

lint: setup-dev
	$(PYTHON) -m ruff check

types: setup-dev
	$(PYTHON) -m mypy

fast: setup-dev ## the tests that need nothing but Python
	$(PYTEST) $(SPREAD) $(SLOW:%=--ignore=%) tests

clients: setup-dev setup-clients ## round trips with docker, podman, buildah, skopeo, helm, oras, crane, regctl
	$(PYTEST) tests/clients

conformance: setup-dev ## the OCI conformance program, every option on
	packaging/setup/clients.sh conformance
	$(PYTEST) tests/conformance

stores: setup-dev setup-clients ## all of /v2 over each store: folder, folder encrypted, S3, S3 encrypted
	for store in folder folder-encrypted s3 s3-encrypted; do $(PYTEST) $(SPREAD) --store $$store tests/http/v2 || exit 1; done
	$(PYTEST) $(SPREAD) tests/conformance tests/blobstore

crash: setup-dev ## kill -9 and power loss, many times (long)
	SCR_TEST_LONG=1 $(PYTEST) tests/crash

fuzz: setup-dev ## bad input, many times (long)
	SCR_TEST_LONG=1 $(PYTEST) tests/fuzz

bench: setup-dev ## measure, paired with another registry where Go is on the machine
	packaging/setup/clients.sh wrk registry
	$(PYTHON) -m tests.bench
	$(PYTHON) -m tests.bench.starts  # with dist/ of make package and make package-pyinstaller
	$(PYTHON) -m tests.bench.scanning
	$(PYTHON) -m tests.bench.scale  # the full size: --size full
	$(PYTHON) -m tests.bench.pages

package: setup-dev ## the whole program in one file, dist/scr-<version>-linux-<machine> (root; long the first time)
	packaging/program/package.sh

package-pyinstaller: setup-dev ## the same by the fallback packer
	packaging/program/package.sh pyinstaller

deb: setup-dev ## a Debian package around the packaged file
	packaging/deb/build.sh $(PACKAGE)

image: setup-dev ## an OCI image around the packaged file, dist/scr-<version>-image-linux-<machine>.tar
	packaging/image/build.sh $(PACKAGE)

test-package: setup-dev setup-clients ## the black-box tests against the packaged file (PACKAGE=..., else the newest in dist)
	packaging/setup/trees.sh
	SCR_TEST_PROGRAM="$(abspath $(PACKAGE))" $(PYTEST) $(SPREAD) tests/package tests/clients tests/conformance \
		tests/crash tests/browser tests/assemble/test_service.py tests/assemble/test_life.py tests/cli/test_vulndb.py

golden: setup-dev ## rewrite the expected outputs; review the difference
	$(PYTEST) --golden $(SLOW:%=--ignore=%) tests

web: setup-dev ## fetch what the console is made of into web/static, at the versions of packaging/web
	packaging/web/fetch.sh
	$(PYTHON) packaging/web/vendor.py .cache/web/node_modules

texts: setup-dev ## collect the texts of the console for translation, and compile the translations
	packaging/web/texts.sh

browser: setup-dev setup-clients ## every screen of the console in a real browser
	$(PYTEST) tests/browser

lock: ## refresh packaging/locks from pyproject.toml
	packaging/setup/venv.sh lock
	packaging/setup/lock.sh

setup:
	@packaging/setup/venv.sh run

setup-dev:
	@packaging/setup/venv.sh dev

setup-clients:
	@packaging/setup/clients.sh

clean: ## remove what make made: environment, caches, builds (never ./data)
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist scr.egg-info
	find appliance tests packaging -name __pycache__ -prune -exec rm -rf {} +
