#!/usr/bin/env bash
# Requests a second through NodePort -> Service -> hello, a fresh instance per request. With WASMTIME=path/to/wasmtime the
# same component under `wasmtime serve` runs in turn with it, and the ratio of the medians is printed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v wrk >/dev/null || { echo "install wrk (apt-get install wrk)" >&2; exit 1; }
peapod=${PEAPOD:-$root/target/release/peapod}
dir=$(mktemp -d)
unset RUST_BACKTRACE
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
"$peapod" up --listen 127.0.0.1:0 --data-dir "$dir/data" --images "$root/modules/dist" \
  --apply "$root/manifests/hello.yaml" >"$dir/out" 2>"$dir/err" &
until grep -q '^ready ' "$dir/out"; do sleep .05; done
ours=$(sed -n 's/.*curl \(http[^ ]*\).*/\1/p' "$dir/out" | head -1)
curl -s "$ours" | grep -q 'request 1' || { echo "hello does not answer at $ours" >&2; exit 1; }
measure() { wrk -t1 -c32 -d"${SECONDS_EACH:-5}"s "$1/" | awk '/Requests\/sec/ {print $2}'; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
if [ -n "${WASMTIME:-}" ]; then
  "$WASMTIME" serve -S cli --env POD_NAME=x --addr 127.0.0.1:18080 "$root/modules/dist/hello.wasm" >/dev/null 2>&1 &
  until curl -s http://127.0.0.1:18080/ >/dev/null; do sleep .05; done
fi
measure "$ours" >/dev/null
for _ in 1 2 3 4 5; do
  measure "$ours" >>"$dir/ours"
  [ -z "${WASMTIME:-}" ] || measure http://127.0.0.1:18080 >>"$dir/theirs"
done
mine=$(median <"$dir/ours")
echo "hello through NodePort and Service: $mine requests/s (median of 5)"
if [ -n "${WASMTIME:-}" ]; then
  theirs=$(median <"$dir/theirs")
  echo "wasmtime serve: $theirs requests/s; ratio $(awk "BEGIN {printf \"%.2f\", $mine/$theirs}") (goal: 1 or more)"
fi
