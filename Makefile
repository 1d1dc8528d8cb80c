# Everything is run from a virtual environment in .venv, which each target sets up when needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: test lint types unit native fuzz-native hunt bench bench-joins evidence formats fuzz damage soak soak-sigma mutants samples verify-translations test-lowest test-pythons docs attack-evidence car-evidence spark-evidence tables-evidence screens site clean

test: lint types unit

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest

# The native core, an optional accelerator, into the virtual environment: needs Rust (cargo).
native: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ./native

# The native core against Python on a hundred thousand lines, most of them damaged or hostile.
fuzz-native: native
	CARENGINE_FUZZ=100000 $(BIN)/pytest tests/test_native.py

# The main job on a sample that the project ships.
hunt: $(READY)
	$(BIN)/carengine hunt tests/samples/lsass_dump.jsonl -r rules/car -f table

# All figures, and docs/benchmarks.md; the peers get environments of their own in .venv-peers.
bench: $(READY)
	$(BIN)/python benchmarks/run.py

# Joins over a day of events: long, and therefore by themselves.
bench-joins: $(READY)
	$(BIN)/python benchmarks/joins.py --write

# All archives of real evidence, where it is at hand; the usual tests read a few of them.
evidence: $(READY)
	CARENGINE_ALL_EVIDENCE=1 $(BIN)/pytest tests/test_readers.py

# The same matches in every format, with one process and with two, of all archives of real evidence at hand.
formats: $(READY)
	CARENGINE_ALL_EVIDENCE=1 $(BIN)/pytest tests/test_formats_agree.py

# Thousands of damaged files of each format, rules, events, objects, archives and states; the usual tests try few.
fuzz: $(READY)
	CARENGINE_FUZZ=10000 $(BIN)/pytest tests/test_readers_fuzz.py
	CARENGINE_FUZZ=26000 CARENGINE_FUZZ_SECONDS=10 $(BIN)/pytest tests/test_fuzz.py

# The lenient reading on thousands of damaged programs; the usual tests try some hundreds.
damage: $(READY)
	CARENGINE_DAMAGES=200 $(BIN)/pytest tests/test_lenient_damage.py

# The long tests of joins and groups: a hundred kills, all real archives, many generated programs.
soak: $(READY)
	CARENGINE_SOAK=1 $(BIN)/pytest tests/test_follow.py tests/test_stream_rules.py tests/test_sequences.py
	CARENGINE_FUZZ=2000 $(BIN)/pytest tests/test_streams.py

# Every rule of SigmaHQ on every recorded event, by the matcher and by the reference: hours.
soak-sigma: $(READY)
	CARENGINE_SOAK=1 $(BIN)/pytest -p no:xdist -o addopts= tests/test_sigma.py -k real_logs -s

# Mutants and rewrites of 100 of our rules and 300 of SigmaHQ's, held to the engine: an hour. CARENGINE_MUTANTS=0.1 takes a tenth. Then whether each condition of rules/attack is needed: minutes.
mutants: $(READY)
	CARENGINE_MUTANTS=$${CARENGINE_MUTANTS:-1} $(BIN)/pytest -p no:xdist -o addopts= tests/test_rule_mutants.py -s
	CARENGINE_MUTANTS=1 $(BIN)/pytest tests/test_attack_rules.py -k every_condition_is_needed

# Samples of all rules of SigmaHQ, written, read back and run by the engine, DuckDB and eql: twenty minutes. CARENGINE_SAMPLES=0.1 takes a tenth.
samples: $(READY)
	CARENGINE_SAMPLES=$${CARENGINE_SAMPLES:-1} $(BIN)/pytest -p no:xdist -o addopts= tests/test_sample_evidence.py -s

# Translated rules run by DuckDB, SQLite, PostgreSQL, the eql package, our Sigma reader and pySigma's over all real archives at hand: long, a sixth of it took eight minutes beside other work.
verify-translations: $(READY)
	CARENGINE_ALL_EVIDENCE=1 $(BIN)/pytest tests/test_translations_run.py tests/test_sql_load.py

# The tests with the lowest versions of our dependencies that pyproject.toml allows.
test-lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	# eql brings lark-parser, whose files lie where lark's do: lark's come last.
	.venv-lowest/bin/uv pip install --python .venv-lowest/bin/python --no-deps --reinstall \
	  "$$(.venv-lowest/bin/uv pip freeze --python .venv-lowest/bin/python | grep '^lark==')"
	.venv-lowest/bin/python -m pytest

# The tests with each Python that the project is for, where it is at hand (python3.12, or one of pyenv).
PYTHONS ?= 3.11 3.12 3.13
test-pythons:
	@tried=; for version in $(PYTHONS); do \
	  python=$$(command -v python$$version || ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python 2>/dev/null | tail -1); \
	  if [ -z "$$python" ] || ! $$python -c pass; then echo "Python $$version is not here" >&2; continue; fi; \
	  echo "Python $$version: $$python"; \
	  $$python -m venv --clear .venv-$$version && \
	  .venv-$$version/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' && \
	  .venv-$$version/bin/python -m pytest || exit 1; \
	  tried="$$tried $$version"; \
	done; echo "passed with Python:$${tried:- none}"; [ -n "$$tried" ]

docs: $(READY)
	$(BIN)/python docs/generate.py

# The rules of rules/attack over the recordings beside the checkout: docs/attack-rules.md (a minute).
attack-evidence: $(READY)
	$(BIN)/python benchmarks/attack_evidence.py

# All recordings on Spark: batches in 1, 2 and 8 partitions, and a stream that is killed twice; some twenty minutes.
spark-evidence: $(READY)
	CARENGINE_SPARK_EVIDENCE=1 $(BIN)/pytest -p no:xdist -o addopts= tests/test_spark_evidence.py -s

# The same recordings as tables of pyarrow, polars, pandas and DuckDB, and by two processes (ten minutes).
tables-evidence: $(READY)
	CARENGINE_TABLES_EVIDENCE=1 $(BIN)/pytest -p no:xdist -o addopts= tests/test_tables_evidence.py -s

# CAR's rules over the same recordings, with the verdicts on each match: docs/car-evidence.md (a minute).
car-evidence: $(READY)
	$(BIN)/python benchmarks/car_spellings.py
	$(BIN)/python benchmarks/car_evidence.py --mutants
	$(BIN)/python benchmarks/car_evidence.py

# Pictures of what a terminal shows, of the samples that ship.
screens: $(READY)
	$(BIN)/python docs/screens.py

# The documentation as a site, in build/site: no dead link, no page outside the navigation.
site: docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

clean:
	rm -rf $(VENV) .venv-3.* .venv-lowest .venv-peers .benchmarks build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
