# Start with `make demo` or `make test`. Both set up their environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
PROVIDER ?= caldav
PROOF ?= full
# One process of tests more than there are cores, since tests wait for servers; the tests of a file stay together.
TOGETHER := -n $$($(BIN)/python -c "import os; print(os.cpu_count() + 1)") --dist loadfile --no-loadscope-reorder
PROOF_OPTIONS_full := --timeout 3600
PROOF_OPTIONS_bounded := $(TOGETHER)

.PHONY: setup demo run check test tests lint proof bench constraints docs figures messages clean

setup: .venv/.ready

# The client `caldav`, with which the demo and tests verify calendars, brings urllib3-future, which overwrites urllib3
# unless it is built with URLLIB3_NO_OVERRIDE. Otherwise all of this would run on another library than production.
INSTALL := URLLIB3_NO_OVERRIDE=1 $(BIN)/pip install --no-binary urllib3-future --quiet --disable-pip-version-check

# Without compiling: Python compiles what is imported when it is first imported, which is a small part.
.venv/.ready: Makefile pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --no-compile -c constraints.txt -e '.[dev]'
	$(BIN)/python -m tests.support.browser
	touch $@

demo: setup
	$(BIN)/python -m examples.northlight --out demo --provider $(PROVIDER)

run: setup
	$(BIN)/longarc run --embedded var

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Under a minute: lint, types, the rules of time and the unit tests.
check: lint
	$(BIN)/pytest -m "not proof" -n auto tests/domain tests/i18n tests/repository tests/settings

# Lint and types are checked beside the tests, since mypy uses one core alone.
test: setup
	$(MAKE) --no-print-directory --jobs 2 lint tests

# Hundreds of processes start in these tests: each would compile the program anew where nothing compiled may be kept.
tests: setup
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -m "not proof" $(TOGETHER)

# Long proofs: years of simulation, kill loops, and each story on the database that `make test` leaves out.
# `make proof PROOF=bounded` runs them in a bounded form, which takes minutes.
proof: setup
	env -u PYTHONDONTWRITEBYTECODE LONGARC_PROOF=$(PROOF) $(BIN)/pytest -m proof $(PROOF_OPTIONS_$(PROOF))

bench: setup
	$(BIN)/python -m bench

constraints: setup
	$(BIN)/python -m tools.release_files

# Builds the documentation site in build/site; a broken link or an outdated page is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict

figures: setup
	$(BIN)/python -m bench.figures

messages: setup
	$(BIN)/pybabel extract -F config/babel.cfg -k N_ -k NN_:1,2 --no-location --omit-header -o templates/locale/longarc.pot .
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --omit-header -w 110 -D longarc -i templates/locale/longarc.pot -d templates/locale

clean:
	rm -rf .venv demo var build dist *.egg-info
