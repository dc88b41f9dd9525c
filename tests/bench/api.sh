#!/usr/bin/env bash
# The API under load, from one client on this machine: rows of tests/examples/api_load (all without arguments).
set -euo pipefail
. "$(dirname "$0")/serve.sh"
example api_load
serve server
"$release/examples/api_load" "$api" "$dir/data/pki/ca.crt" "$dir/data/admin.token" "$@"
awk '/VmRSS/ {printf "resident with what was made: %.0f MiB\n", $2 / 1024}' "/proc/$server/status"
