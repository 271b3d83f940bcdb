.DEFAULT_GOAL := help
.PHONY: help run test lint chaos bench services stop

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## Run Precedent on http://127.0.0.1:8000 (PORT, HOST and VAR_DIR change where)
	@scripts/run

test: ## Run every check on real services; ARGS="-k search" goes to pytest
	@scripts/test $(ARGS)

lint: ## Repair what ruff can repair, and show the rest
	@scripts/environment test
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format . && .venv/bin/mypy && .venv/bin/lint-imports

chaos: ## Run the fault campaign on services of its own; ARGS="--only redis-flushed" runs one fault
	@scripts/environment test
	@.venv/bin/python -m chaos $(ARGS)

bench: ## Measure the speed on services of its own; ARGS="--incidents 10000" for a quick look
	@scripts/environment test
	@.venv/bin/python -m benches $(ARGS)

services: ## Start PostgreSQL, Redis and Elasticsearch, and show their addresses
	@scripts/services up
	@scripts/services env

stop: ## Stop these services
	@scripts/services down
