# Everything runs from the checkout: uv in .tools, Python packages in .venv, npm packages in node_modules.
# `make demo SECONDS=60 REPORT=report.json PACE=2 LEVELS=20 PORT=8080 KEEP=folder` hands on only what is given.

PYTHON := .venv/bin/python
DEMO_FLAGS = $(if $(SECONDS),--seconds "$(SECONDS)") $(if $(REPORT),--report "$(REPORT)") $(if $(PACE),--pace "$(PACE)") \
	$(if $(LEVELS),--levels "$(LEVELS)") $(if $(PORT),--port "$(PORT)") $(if $(ENGINE),--engine "$(ENGINE)") \
	$(if $(KEEP),--home "$(KEEP)")

.DEFAULT_GOAL := help
.PHONY: help setup check test bench demo sim screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: ## bring the environment up to date; silent when nothing changed
	@sh scripts/setup

check: setup ## format, lint, types, layers, tidy: under two minutes
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo
	@if command -v cargo >/dev/null 2>&1; then cargo fmt --check && cargo clippy --quiet --locked --all-targets -- -D warnings; \
	else echo "check: cargo is missing, the native core is not checked"; fi
	@exec $(PYTHON) -m pytest tests/tidy

test: setup ## everything; ARGS="-k receipts" narrows it
	@exec $(PYTHON) -m pytest $(ARGS)

# `exec` leaves no shell between make and Python, so Ctrl-C and SIGTERM reach the node itself.
demo: setup ## a whole venue on this machine, on a recorded market; SECONDS= REPORT= PACE= LEVELS= PORT= ENGINE= KEEP=
	@exec .venv/bin/penstock demo $(DEMO_FLAGS)

screenshots: setup ## pictures of the page into ./screenshots (wants chromium)
	@exec $(PYTHON) -m pytest tests/console -k screenshot --screenshots screenshots

bench: setup ## every stage beside its limit, six minutes at most; QUICK=1 for one, REPORT=
	@exec $(PYTHON) -m bench $(if $(QUICK),--quick) $(if $(REPORT),--report "$(REPORT)")

sim: setup ## streams of commands through spec and core, compared; SEED= SEEDS= COMMANDS= ENVELOPES= SAVES= JOBS=
	@exec .venv/bin/penstock sim $(if $(SEED),--seed "$(SEED)") $(if $(SEEDS),--seeds "$(SEEDS)") \
		$(if $(COMMANDS),--commands "$(COMMANDS)") $(if $(ENVELOPES),--envelopes "$(ENVELOPES)") $(if $(SAVES),--saves "$(SAVES)") \
		$(if $(JOBS),--jobs "$(JOBS)")
