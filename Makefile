# Front door. Every target installs what it needs (Debian 12 or newer; elsewhere CMake names what is
# missing) and builds into build/, where the program is build/moraine. The build itself is CMake's:
# `cmake --preset release && cmake --build build` does the same by hand.
#
#   make demo         runs the pipeline on an embedded broker     make test      unit tests
#   make integration  real Kafka, registry, Spark, hudi-rs        make lint      format, clang, clang-tidy
#   make              the program                                 make install   to PREFIX (default /usr/local)
#   make package      a Debian package                            make fuzz      SECONDS=60 for each target
#   make model        spin checks the commit protocols        make bench     figures into build/bench.json (bench-full: docs/)
#   make crash        KILLS=100 SEED=1: kills against exactly-once make soak      the same for HOURS=8
#   make clean        removes the build folders
#
# JOBS=2 limits parallel compilation, CMAKE_FLAGS="-D..." reaches CMake,
# MORAINE_LIBRDKAFKA=system keeps the distribution's librdkafka whatever its age.

BUILD       := build
PREFIX      ?= /usr/local
JOBS        ?= $(shell nproc)
CMAKE_FLAGS ?=
DEMO_SECONDS ?= 15
SECONDS      ?= 60
KILLS        ?= 100
SEED         ?= 1
HOURS        ?= 8

.DEFAULT_GOAL := all
.PHONY: all configure demo test integration crash soak model bench bench-full lint fuzz install package clean

all: configure
	@cmake --build $(BUILD) --parallel $(JOBS)

# Run every time (about a second): the chosen librdkafka may have changed.
configure:
	@.ci/install-packages build
	@root="$$(.ci/build-librdkafka | tail -n 1)" && \
	cmake --preset release -B $(BUILD) -DMORAINE_LIBRDKAFKA_ROOT="$$root" $(CMAKE_FLAGS) >$(BUILD).log 2>&1 || \
	  { cat $(BUILD).log; rm -f $(BUILD).log; exit 1; }; rm -f $(BUILD).log

demo: all
	@$(BUILD)/moraine demo --seconds $(DEMO_SECONDS) --dir $(BUILD)/demo

test: all
	@ctest --test-dir $(BUILD) --output-on-failure --parallel $(JOBS)

integration: all
	@integration/run

# SECONDS=n bounds them; INSTANCES=1|3 and FORMAT=, a list of hudi6, hudi9, iceberg2, iceberg3, iceberg_rest2, iceberg_rest3, choose
crash soak: SECONDS =
crash: all
	@integration/crash/run KILLS=$(KILLS) SEED=$(SEED) SECONDS=$(SECONDS) INSTANCES=$(INSTANCES) FORMAT=$(FORMAT) \
	  LATE_AFTER_DELETE=$(LATE_AFTER_DELETE)

soak: all
	@integration/crash/run HOURS=$(HOURS) SEED=$(SEED) INSTANCES=$(INSTANCES) FORMAT=$(FORMAT) \
	  LATE_AFTER_DELETE=$(LATE_AFTER_DELETE)

# Figures with their goals, by the other programs of bench/ and beside librdkafka and peers on a real Kafka
# (bench/versus/README.md). bench-full takes an hour or two and publishes to docs/. CASES="append-avro ..."
# chooses, STATE_MILLIONS="1 10 50" makes the state's part longer.
STATE_MILLIONS ?= 1
CASES ?=
bench-full: STATE_MILLIONS = 1 10
bench-full: BENCH_OPTIONS = --full --perf $(BUILD)/versus.perf
bench-full: PUBLISH = --docs docs
empty :=
comma := ,
only = $(if $(CASES),--only $(subst $(empty) $(empty),$(comma),$(strip $(CASES))))

bench bench-full: all
	@cmake --build $(BUILD) --parallel $(JOBS) --target state_bench
	@$(BUILD)/bench/state_bench -o $(BUILD)/bench-state.json $(BUILD) $(STATE_MILLIONS) || [ -s $(BUILD)/bench-state.json ]
	@[ -n "$(CASES)" ] || rm -f $(BUILD)/versus.json
	@bench/versus/run --results $(BUILD)/versus.json $(BENCH_OPTIONS) $(only); status=$$?; \
	 python3 bench/versus/figures.py $(BUILD)/versus.json --state $(BUILD)/bench-state.json --out $(BUILD)/bench.json $(PUBLISH) && \
	 exit $$status

# MODEL=full for larger bounds
model:
	@.ci/install-packages model
	@model/run

lint:
	@.ci/lint

fuzz: configure
	@.ci/install-packages fuzz
	@tests/fuzz/run $(SECONDS)

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

package: all
	@cpack --config $(BUILD)/CPackConfig.cmake -B $(BUILD)

clean:
	@rm -rf $(BUILD) build-lint
