# The thin front: the work is in scripts/bootstrap (the environment), `ias dev` (the stack) and noxfile.py (checks).
.DEFAULT_GOAL := help
.PHONY: help up down logs test unit bench lint lock clean
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
NOX := .venv/bin/nox --session

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

up: ## from a fresh clone to everything running, and the main job done once (MODEL=smollm2: on a real vLLM)
	@scripts/bootstrap run
	@$(PYTHON) -m ias.dev up --detach $(if $(filter command,$(origin MODEL)),--model "$(MODEL)")

down: ## end everything; the data stays
	@if [ -x .venv/bin/ias ]; then $(PYTHON) -m ias.dev down; else echo "Nothing runs here."; fi

logs: ## follow the logs (Ctrl-C ends the following only)
	@$(PYTHON) -m ias.dev logs --follow

test: ## unit, architecture, integration and end-to-end tests
	@scripts/bootstrap dev
	@$(NOX) tests

unit: ## the quick tests, with the coverage that pure modules must have
	@scripts/bootstrap dev
	@$(NOX) unit

bench: ## the gateway beside other proxies: one table, bench/results/latest.json (ARGS=--quick: a minute)
	@scripts/bootstrap dev
	@$(NOX) bench -- $(ARGS)

lint: ## ruff, mypy, import-linter
	@scripts/bootstrap dev
	@$(NOX) lint

lock: ## resolve the locks in requirements/ anew from pyproject.toml
	@scripts/bootstrap dev
	@$(NOX) lock

clean: down ## end everything and remove its data (.ias/)
	@rm -rf .ias
