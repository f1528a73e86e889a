# Every target prepares what it needs first. `make` alone lists them.
RUNTIME = sh scripts/with_venv.sh runtime
DEV = sh scripts/with_venv.sh dev

# Processes that run tests at once; 0 runs them in one, in the foreground (for a debugger).
TEST_JOBS ?= 2
export TEST_JOBS
export PYTHON

.NOTPARALLEL:
.PHONY: help demo run test test-fast check bench faults screenshots lock clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: ## Set up everything and show a ticket's round trip; ONCE=1 ends when it is verified.
	@$(RUNTIME) python manage.py demo $(if $(ONCE),--once)

run: ## Set up everything and start the product (web and workers) without demo data.
	@$(RUNTIME) python manage.py serve

test: ## Run all tests with the coverage gate; ARGS='...' goes to pytest.
	@$(DEV) python -m scripts.test $(ARGS)

test-fast: ## Run the tests that start no processes, without coverage; ARGS='...' goes to pytest.
	@$(DEV) python -m scripts.test --fast $(ARGS)

check: ## Check lint, format, types, import rules, production settings and migrations.
	@$(DEV) python -m scripts.check

bench: ## Run the benchmarks; OUT=file keeps the figures.
	@$(DEV) python -m benchmarks $(if $(OUT),--out '$(OUT)')

faults: ## Run the long fault tests: processes killed, databases and networks failing.
	@$(DEV) python -m benchmarks.faults $(if $(OUT),--out '$(OUT)')

screenshots: ## Take the pictures of docs/screenshots from a running demo; ARGS='NAME ...' takes only some.
	@$(DEV) python -m tests.browser.screenshots $(ARGS)

lock: ## Rebuild both lock files from pyproject.toml; ARGS='--upgrade' takes newer versions.
	@$(DEV) python -m scripts.lock $(ARGS)

clean: ## Delete this user's state (database, keys, logs); YES=1 does it, otherwise it only says so.
	@$(RUNTIME) python -m scripts.clean $(if $(YES),--yes)
