#!/usr/bin/env bash
# The dashboard in Chromium: bytes on the wire of the first load, and the time from the start of the navigation to a
# filled table of PODS (default 3000) pods. Medians of five, each in a fresh browser.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
peapod=${PEAPOD:-$root/target/release/peapod}
unset RUST_BACKTRACE
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
"$peapod" up --listen 127.0.0.1:0 --data-dir "$dir/data" >"$dir/out" 2>"$dir/err" &
until grep -q '^ready ' "$dir/out"; do
  kill -0 $! 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
  sleep .05
done
export PEAPOD_SERVER PEAPOD_TOKEN NODE_EXTRA_CA_CERTS=$dir/data/pki/ca.crt
PEAPOD_SERVER=$(sed -n 's/^ready //p' "$dir/out") PEAPOD_TOKEN=$(cat "$dir/data/admin.token")
node "$root/tests/bench/page.mjs" "${PODS:-3000}"
