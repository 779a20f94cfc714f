# One line a verb; `make` alone lists them. Nothing here is clever: logic lives in Rust.
# `make check` is what CI runs, in this order; each step says what it does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup demo serve load test check bench sim fuzz doctor format clippy docs quick loom

RINGWAY := cargo run --release --quiet --package ringway --
# What follows the verb: make serve ARGS="--shards 2"
ARGS ?=
# The simulator's first seed and how many follow; make sim SEED=7 runs that one alone.
SEED ?=
SEEDS ?= 100
# How many inputs each fuzz target gets.
FUZZ_RUNS ?= 20000

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: ## look at what a build needs, and install what is missing
	@scripts/setup.sh

demo: setup ## build, serve on loopback, drive it for ten seconds, report
	@$(RINGWAY) demo $(ARGS)

serve: ## serve queues on 127.0.0.1:7311: make serve ARGS="--shards 2"
	@$(RINGWAY) serve $(ARGS)

load: ## drive a plane that is serving: make load ARGS="--op put-take --duration 10s"
	@$(RINGWAY) load $(ARGS)

doctor: ## say what this host allows, and what to do about the rest
	@$(RINGWAY) doctor $(ARGS)

test: setup ## every test
	cargo test --workspace --quiet

bench: ## ours, the floors and the peers in turn, with ratios
	cargo build --release --quiet --workspace
	cargo run --release --quiet --package ringway-bench --bin ringway-suite -- $(ARGS)

sim: ## the shards under a seed: make sim SEED=7, or many of them
	cargo run --release --quiet --package ringway-simulator -- \
	  $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

fuzz: ## feed each parser random bytes: make fuzz FUZZ_RUNS=1000000
	@scripts/fuzz.sh $(FUZZ_RUNS)

check: format clippy test docs quick loom sim fuzz ## all that CI runs
	@echo "check: everything passed"

format:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --quiet -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# The benchmarks with tiny inputs, so that they cannot rot.
quick:
	cargo bench --workspace --quiet --profile dev -- --test

# Every interleaving of what crosses threads; a build of its own, because loom replaces the atomics.
loom:
	RUSTFLAGS="--cfg loom" cargo test --package ringway-shards --test loom --quiet --target-dir target/loom
