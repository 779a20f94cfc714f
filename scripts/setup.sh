#!/usr/bin/env bash
# Makes a fresh Debian or Ubuntu ready to build, test and fuzz Ringway: looks first, says what is
# missing, and installs only that. Needs root only when something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1; }

missing=()
have cc || missing+=(gcc libc6-dev)
have c++ || missing+=(g++)          # the fuzzer's runtime is C++
have make || missing+=(make)

if ((${#missing[@]})); then
  echo "setup: missing packages: ${missing[*]}"
  if ! have apt-get; then
    echo "setup: no apt-get here: install C and C++ compilers and make, then run again" >&2
    exit 1
  fi
  sudo=()
  if ((EUID != 0)); then
    if ! have sudo; then
      echo "setup: run as root: apt-get install -y ${missing[*]}" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
else
  echo "setup: compilers and make are here"
fi

if ! have cargo; then
  echo "setup: Rust is missing: install stable Rust with rustup, then run again" >&2
  exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
found=$(rustc --version | cut -d' ' -f2)
if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -1) != "$wanted" ]]; then
  echo "setup: Rust $found is too old, $wanted or newer is needed; run: rustup update stable" >&2
  exit 1
fi
echo "setup: Rust $found is here"
