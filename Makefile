# Every target sets up what it needs. Nothing must be installed beforehand but Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED := $(or $(RETAIL_RAY_SHARED),../shared)
SETUP := $(VENV)/.set-up

export YOLO_OFFLINE = 1
export YOLO_AUTOINSTALL = False
export RETAIL_RAY_SHARED = $(abspath $(SHARED))
export RAY_USAGE_STATS_ENABLED = 0

.PHONY: setup demo test test-quick check format lock bench bench-speed bench-trackers bench-accuracy bench-memory bench-simulated bench-floor bench-determinism bench-identity bench-people bench-renderer bench-live bench-events bench-lake-concurrency bench-lake-sizes bench-demo demo-models docs clean bench-queues bench-recount bench-lake bench-transit bench-long
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(SETUP) ## a virtual environment with everything locked

$(SETUP): requirements.lock bootstrap.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: setup ## the main job on a simulated store, then the page (Ctrl-C ends)
	$(BIN)/python -m jobs.demo

test: setup check ## every test
	$(BIN)/python -m pytest

test-quick: setup ## without the tests marked long
	$(BIN)/python -m pytest -m "not long"

check: setup ## lint, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## resolve requirements.in anew
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url requirements.in -o requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url bootstrap.in -o bootstrap.lock

bench: bench-trackers bench-accuracy bench-speed bench-memory bench-renderer bench-simulated bench-identity bench-people bench-live bench-events bench-demo bench-queues bench-recount bench-lake bench-transit bench-long ## all measurements, into benchmarks/results

bench-accuracy: setup ## the product from video to Parquet against yolo track
	$(BIN)/python -m benchmarks.accuracy --shared $(SHARED)

bench-trackers: setup ## accuracy of the trackers on the real clips
	$(BIN)/python -m benchmarks.trackers --shared $(SHARED)

bench-speed: setup ## speed against peers on the same frames
	$(BIN)/python -m benchmarks.speed --shared $(SHARED)

bench-memory: setup ## memory per camera over a long run
	$(BIN)/python -m benchmarks.memory --shared $(SHARED)

bench-live: setup ## how far a live run is behind the clock
	$(BIN)/python -m benchmarks.live_latency --shared $(SHARED)

bench-renderer: setup ## speed, clip-making and realism of the simulated cameras
	$(BIN)/python -m benchmarks.renderer

bench-simulated: setup ## accuracy on simulated stores, stage by stage
	$(BIN)/python -m benchmarks.simulated --processes 2

bench-events: setup ## a day of 16 cameras without video
	$(BIN)/python -m benchmarks.events

bench-lake-concurrency: setup ## writers, compaction, retention and 8 readers at once for 10 minutes
	$(BIN)/python -m benchmarks.lake_concurrency

bench-lake-sizes: setup ## bytes of a day of 16 cameras, before and after compaction
	$(BIN)/python -m benchmarks.lake_sizes

bench-recount: setup ## days of 16 cameras counted anew
	$(BIN)/python -m benchmarks.recount

bench-lake: setup ## a year of a store: questions, scans, writes, and a row store beside it
	$(BIN)/python -m benchmarks.lake_speed

bench-demo: setup ## how long the demo takes
	$(BIN)/python -m benchmarks.demo

bench-identity: setup ## who is who on simulated stores, against rivals and under stress
	$(BIN)/python -m benchmarks.identity
	$(BIN)/python -m benchmarks.pair_evidence --work build/identity

bench-queues: setup ## queues and heat against exact truth, without video
	$(BIN)/python -m benchmarks.queues

bench-transit: setup ## what learnt ways between places bring, on development stores without video
	$(BIN)/python -m benchmarks.transit

bench-long: setup ## who is who, and how many, in ten minutes of video
	$(BIN)/python -m benchmarks.long_recordings

bench-determinism: setup ## the same input on one core and on all gives the same identities
	$(BIN)/python -m benchmarks.determinism

bench-floor: setup ## floor positions before and after the upright camera model, on development stores
	$(BIN)/python -m benchmarks.floor

bench-people: setup ## staff probability and groups on simulated stores without video
	$(BIN)/python -m benchmarks.people_traits

demo-models: setup ## trains the demo's weights anew, from seeds
	$(BIN)/retail-ray train-demo-models --full --out out/demo-models

docs: setup ## generated documentation
	$(BIN)/python -m retail_ray.docs docs

clean: ## everything that was built
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
