#!/usr/bin/env bash
# Licences, duplicates and sources always; advisories where their database can be reached or was fetched before.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.cache/tools/bin:$PATH"

cargo deny --locked check licenses bans sources
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --locked check advisories
elif cargo deny --locked --offline check advisories >/dev/null 2>&1; then
    echo "advisories ok (against the database fetched before; it cannot be reached now)"
elif [ -n "$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/ 2>/dev/null)" ]; then
    cargo deny --locked --offline check advisories
else
    echo "advisories not checked: their database cannot be reached and none was fetched before" >&2
fi
