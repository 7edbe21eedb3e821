# The commands of this repository. `make` alone lists them.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/flashgate
VENV  := $(CACHE)/venv

# One build serves `make run`, `make test` and the demo tour. Cargo.toml optimises the dependencies through which rows and bytes go; Flashgate's
# own crate is not optimised there: that would take four times as long to build and makes a cold query a fifth faster (docs/benchmarks.md).

.PHONY: help run test test-deps test-rust test-lab check fmt demo-tour release
.PHONY: suites bench-visibility bench-route bench-orc bench-orders bench-load bench-relay bench-before-after bench-deps fuzz replay queries

help:
	@echo "make run        build and start the demo in the foreground (flags: make run ARGS='--mysql-listen 127.0.0.1:4000')"
	@echo "make test       install what the tests need, then run all of them"
	@echo "make check      formatting and clippy; warnings are errors"
	@echo "make fmt        format the sources"
	@echo "make demo-tour  run the demo's story through both protocols, print it and exit"
	@echo "make release    the binary as it is shipped: target/release/flashgate"
	@echo "make bench-*    visibility, route, orc (criterion); orders, load, relay, before-after (make release first; flags: ARGS='--rows 50000')"
	@echo "make replay     generated sessions with fresh seeds, directly and through the relay: SESSIONS=2000"
	@echo "make queries    generated queries over hot and cold tables with fresh seeds, directly and through the relay: QUERIES=2000"
	@echo "make suites     the drivers' own tests, all of Django's among them (make test runs a third of those, others every day)"
	@echo "make fuzz       random bytes into a decoder: TARGET=mysql_wire|postgres_wire|sql_parse|orc_tail|proxy_protocol SECONDS=60"

run:
	cargo run --quiet -- demo $(ARGS)

test: test-deps test-rust test-lab

test-deps:
	scripts/install-test-deps.sh

test-rust:
	cargo test --no-fail-fast

test-lab: test-deps
	cargo build
	FLASHGATE_TEST_CACHE="$(CACHE)" "$(VENV)/bin/python" tests/lab -q -rs --durations=10 $(ARGS)

check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

fmt:
	cargo fmt

demo-tour:
	scripts/demo-tour.sh

release:
	cargo build --release

# `make test` replays the same sessions every time; this takes others.
replay: test-deps
	cargo build
	FLASHGATE_TEST_CACHE="$(CACHE)" FLASHGATE_TEST_SEED="$(or $(SEED),$(shell date +%s))" FLASHGATE_TEST_SESSIONS="$(or $(SESSIONS),2000)" \
		"$(VENV)/bin/python" tests/lab -q -k relay_replay $(ARGS)

# `make test` draws the same queries every time; this draws others.
queries: test-deps
	cargo build
	FLASHGATE_TEST_CACHE="$(CACHE)" FLASHGATE_TEST_SEED="$(or $(SEED),$(shell date +%s))" FLASHGATE_TEST_QUERIES="$(or $(QUERIES),2000)" \
		"$(VENV)/bin/python" tests/lab -q -k generated_queries $(ARGS)

suites: test-deps
	cargo build
	FLASHGATE_TEST_CACHE="$(CACHE)" FLASHGATE_TEST_SUITES=all "$(VENV)/bin/python" tests/lab -q -k driver_suites $(ARGS)

# --- benchmarks: docs/benchmarks.md says what each prints ------------------------------------------------------------------

BENCH_PYTHON := $(CACHE)/bench-venv/bin/python

bench-visibility bench-route bench-orc: bench-%:
	cargo bench --bench $* -- $(ARGS)

bench-deps:
	benches/setup.sh peers

bench-orders: bench-deps
	$(BENCH_PYTHON) benches/orders.py $(ARGS)

bench-load: bench-deps
	$(BENCH_PYTHON) benches/load.py $(ARGS)

bench-relay:
	benches/setup.sh peers relay
	$(BENCH_PYTHON) benches/relay.py $(ARGS)

bench-before-after: bench-deps
	$(BENCH_PYTHON) benches/before_after.py --before $(BEFORE) $(if $(AFTER),--after $(AFTER)) $(ARGS)

# --- fuzzing: needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz) --------------------------------------------

TARGET  ?= mysql_wire
SECONDS ?= 60

# New inputs go to fuzz/corpus, which is not kept; the kept ones are read from tests/corpus. The versions are the main crate's.
fuzz:
	mkdir -p fuzz/corpus/$(TARGET)
	cp Cargo.lock fuzz/Cargo.lock
	cargo +nightly fuzz run $(TARGET) fuzz/corpus/$(TARGET) tests/corpus/$(TARGET) -- -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=4096
