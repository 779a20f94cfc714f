#!/bin/sh
# Feeds hostile bytes to the wire's decoders, guided by the coverage they reach (libFuzzer).
#
# Why: no input may panic, allocate beyond its bound, or be accepted and then written differently.
# A failure leaves the input under fuzz/artifacts and prints how to run it again.
#
#   RUNS     inputs for each target (1,000,000)
#   TARGETS  which targets (frame request reply records greeting pattern)
#   SEED     libFuzzer's seed (by the clock; printed)
set -eu
cd "$(dirname "$0")/.."
: "${RUNS:=1000000}" "${SEED:=$(date +%s)}"
: "${TARGETS:=frame request reply records greeting pattern}"

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if ! command -v c++ >/dev/null; then
    echo "fuzz: libFuzzer needs a C++ compiler: apt install g++" >&2
    exit 78
fi
if ! command -v cargo-fuzz >/dev/null; then
    echo "fuzz: installing cargo-fuzz" >&2
    cargo install cargo-fuzz --locked --debug
fi
# The sanitizer's flags are for nightly compilers only; this makes a stable one take them.
export RUSTC_BOOTSTRAP=1

cargo run --quiet --package ringway-protocol --example fuzz_seeds -- fuzz/corpus
echo "commit $(git describe --always --dirty 2>/dev/null || echo unknown), kernel $(uname -r)," \
    "seed $SEED, $RUNS runs a target"
cargo fuzz build
mkdir -p fuzz/artifacts
for target in $TARGETS; do
    started=$(date +%s)
    log="fuzz/artifacts/$target.log"
    cargo fuzz run "$target" -- -runs="$RUNS" -seed="$SEED" -max_len=4096 >"$log" 2>&1 || {
        grep -a -A 3 -e 'panicked at' -e 'ERROR: ' -e 'Reproduce with' "$log" >&2 || true
        echo "$target: FAILED, all of it in $log" >&2
        exit 1
    }
    echo "$target: $RUNS runs in $(($(date +%s) - started)) s, nothing found"
done
