#!/usr/bin/env bash
# Brings a fresh Debian 12 or Ubuntu 24.04 to where kinora builds, tests and runs. Repeating it changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

need() {
    echo "setup: $1" >&2
    exit 1
}

# --- system packages: a probe for each, the package that answers it ------------------------------------------------
missing=()
probe() { # package, command that succeeds when it is there
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}
probe ffmpeg command -v ffmpeg
probe build-essential command -v cc
probe git command -v git
probe python3 command -v python3
probe python3-pip python3 -m pip --version
probe fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || need "these packages are missing and there is no sudo: ${missing[*]}"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || need "these packages are missing and there is no apt-get: ${missing[*]}"
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# --- Rust: the version that Cargo.toml asks for ----------------------------------------------------------------------
wanted=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml)
command -v rustc >/dev/null || need "Rust $wanted or newer is missing; install rustup (https://rustup.rs) and repeat"
found=$(rustc --version | cut -d ' ' -f 2)
[ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
    need "Rust $found is older than $wanted; 'rustup update stable' brings a newer one"
for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 ||
        rustup component add "$component" ||
        need "the component $component is missing; 'rustup component add $component' brings it"
done

# --- tools, and the command itself -----------------------------------------------------------------------------------
python3 scripts/fetch_tools.py --pip
cargo build --profile ci --locked -p kinora
