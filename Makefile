# One line a verb; `make` alone lists them. Nothing here is clever: logic lives in Rust.
# `make check` is what CI runs, in this order; each step says what it does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup demo serve load doctor test bench sim fuzz check format lint docs quick

RINGWAY := cargo run --release --quiet --package ringway --
# What follows the verb: make serve ARGS="--shards 2"
ARGS ?=
# The simulator's seed: one alone, or how many from 1 on.
SEED ?=
SEEDS ?= 100
# Inputs of each fuzz target.
RUNS ?= 1000000

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: ## look at what a build needs, and install what is missing
	@scripts/setup.sh

demo: setup ## build, serve on loopback, drive it for ten seconds, report
	@$(RINGWAY) demo $(ARGS)

serve: ## serve queues on 127.0.0.1:7311: make serve ARGS="--shards 2"
	@$(RINGWAY) serve $(ARGS)

load: ## drive a plane that is serving: make load ARGS="--op put", or judge it: ARGS=--check
	@$(RINGWAY) load $(ARGS)

doctor: ## say what this host allows, and what to do about the rest
	@$(RINGWAY) doctor $(ARGS)

test: setup ## every test
	cargo test --workspace --quiet

bench: ## ours beside its floors and peers, in turn, with ratios
	cargo build --release --quiet --workspace
	cargo bench --quiet --package ringway-bench
	cargo run --release --quiet --package ringway-bench --bin ringway-suite -- $(ARGS)

sim: ## whole planes under a seed: make sim SEED=7, or SEEDS=1000
	cargo run --quiet --package ringway-simulator -- \
	  $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

fuzz: ## feed each parser hostile bytes: make fuzz RUNS=10000000
	@RUNS=$(RUNS) scripts/fuzz.sh

# The tests include the loom models and a hundred seeds of the simulator.
check: format lint test docs quick fuzz ## all that CI runs
	@echo "check: everything passed"

format:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

lint:
	cargo clippy --workspace --all-targets --quiet -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
	  cargo doc --workspace --no-deps --quiet

# The benchmarks with tiny inputs and the build of the tests, so that they cannot rot.
quick:
	cargo test --quiet --package ringway-bench --benches
	cargo run --quiet --package ringway-bench --bin ringway-suite -- --quick >/dev/null
