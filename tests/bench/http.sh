#!/usr/bin/env bash
# Requests a second through NodePort -> Service -> hello, a fresh instance per request, in turn with a native server in
# its place and, with WASMTIME=path/to/wasmtime, with the same component under `wasmtime serve`. Medians of five.
set -euo pipefail
. "$(dirname "$0")/hello.sh"
example native_hello
"$release/examples/native_hello" 18081 &
if [ -n "${WASMTIME:-}" ]; then
  "$WASMTIME" serve -S cli --env POD_NAME=x --addr 127.0.0.1:18080 "$root/modules/dist/hello.wasm" >/dev/null 2>&1 &
fi
for port in 18081 ${WASMTIME:+18080}; do
  until curl -s "http://127.0.0.1:$port/" >/dev/null; do sleep .05; done
done
throughput "$url" >/dev/null
for _ in 1 2 3 4 5; do
  throughput "$url" >>"$dir/ours"
  throughput http://127.0.0.1:18081 >>"$dir/native"
  [ -z "${WASMTIME:-}" ] || throughput http://127.0.0.1:18080 >>"$dir/wasmtime"
done
ours=$(median <"$dir/ours") native=$(median <"$dir/native")
echo "hello through NodePort and Service: $ours requests/s"
echo "native warp: $native requests/s; ratio $(ratio "$ours" "$native")"
if [ -n "${WASMTIME:-}" ]; then
  wasmtime=$(median <"$dir/wasmtime")
  echo "wasmtime serve: $wasmtime requests/s; ratio $(ratio "$ours" "$wasmtime") (goal: 1 or more)"
fi
