# make run   sets up what is missing and opens the program; TASK="..." runs that task headless
# make test  the same set-up, then the whole test suite in two processes; ARGS="-k words" goes to pytest
# make lint, make bench, make bench-sandbox, make package-check, make lock
.SILENT:
.PHONY: run test lint format bench bench-sandbox bench-peers package-check lock venv venv-dev engine python

# TASK reaches the program as it was typed: neither make nor a shell expands it.
ifdef TASK
override TASK := $(value TASK)
endif
export TASK

VENV_PYTHON = .venv/bin/python
# The first Python that will do; PYTHON=... on the command line chooses another.
FIND_PYTHON = for python in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
		2>/dev/null && break; python=; done; \
	if [ -z "$$python" ]; then \
		echo "set-up: no Python from 3.11 to 3.14 is on the path" >&2; \
		echo "set-up: to do: install one (apt-get install python3 python3-pip), or make PYTHON=/path/to/python3" >&2; \
		exit 4; fi
# Where no engine can be had it says so in two lines (exit 4), and the rest goes on without.
ENGINE = $(VENV_PYTHON) -m planner_app.sandbox.image || [ $$? -eq 4 ]

run: venv
	$(ENGINE)
	$(VENV_PYTHON) .ci/start.py

test: venv-dev
	$(ENGINE)
	$(VENV_PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: venv-dev
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	.venv/bin/lint-imports

format: venv-dev
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

bench: venv-dev
	$(ENGINE)
	for file in $$(grep -l '^if __name__' bench/*.py); do \
		name=$$(basename "$$file" .py); echo "== $$name"; \
		$(VENV_PYTHON) -m "bench.$$name" || exit; done

bench-sandbox: venv-dev
	$(ENGINE)
	$(VENV_PYTHON) -m bench.sandbox

# The executors of smolagents and ipybox, in an environment of their own, for bench-sandbox.
bench-peers: venv-dev
	$(VENV_PYTHON) -m bench.peers

package-check: venv-dev
	$(VENV_PYTHON) .ci/package_check.py

# Rewrites the lock files within the bounds of pyproject.toml and sandbox/requirements.in.
lock: venv-dev
	$(VENV_PYTHON) .ci/lock.py

venv:
	$(FIND_PYTHON); "$$python" .ci/prepare.py run

venv-dev:
	$(FIND_PYTHON); "$$python" .ci/prepare.py dev

engine: venv
	$(VENV_PYTHON) -m planner_app.sandbox.image
