#!/usr/bin/env bash
# The API under load, from one client on this machine: rows of tests/examples/api_load (all without arguments).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
peapod=${PEAPOD:-$root/target/release/peapod}
client=$root/target/release/examples/api_load
[ -x "$client" ] || { echo "run make bench: it builds api_load" >&2; exit 1; }
unset RUST_BACKTRACE
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
"$peapod" server --listen 127.0.0.1:0 --data-dir "$dir/data" >"$dir/out" 2>"$dir/err" &
until grep -q '^ready ' "$dir/out"; do
  kill -0 $! 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
  sleep .05
done
"$client" "$(sed -n 's/^ready //p' "$dir/out")" "$dir/data/pki/ca.crt" "$dir/data/admin.token" "$@"
awk '/VmRSS/ {printf "resident with what was made: %.0f MiB\n", $2 / 1024}' "/proc/$!/status"
