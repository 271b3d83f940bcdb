.DEFAULT_GOAL := help
.PHONY: help run test lint chaos bench services stop

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## Run Precedent on http://127.0.0.1:8000 (set PORT, HOST or VAR_DIR to change that)
	@scripts/run

test: ## Run every check on real services; ARGS="-k search" is passed to pytest
	@scripts/test $(ARGS)

lint: ## Fix and format what ruff can, then check types and import directions
	@scripts/environment test
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format . && .venv/bin/mypy && .venv/bin/lint-imports

chaos: ## Run the fault campaign on its own services; ARGS="--only redis-flushed" runs one fault
	@scripts/environment test
	@.venv/bin/python -m chaos $(ARGS)

bench: ## Measure performance on its own services; ARGS="--incidents 10000" for a quick look
	@scripts/environment test
	@.venv/bin/python -m benches $(ARGS)

services: ## Start PostgreSQL, Redis and Elasticsearch, and show their URLs
	@scripts/services up
	@scripts/services env

stop: ## Stop the services that `make services` started
	@scripts/services down
