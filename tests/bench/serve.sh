# What the benches in bash share; source it. `serve VERB ARGUMENT...` starts a server in $dir and waits until it is ready.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
release=$root/target/release
peapod=${PEAPOD:-$release/peapod}
unset RUST_BACKTRACE
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

serve() {
  "$peapod" "$1" --listen 127.0.0.1:0 --data-dir "$dir/data" "${@:2}" >"$dir/out" 2>"$dir/err" &
  server=$!
  until grep -q '^ready ' "$dir/out"; do
    kill -0 $server 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
    sleep .05
  done
  api=$(sed -n 's/^ready //p' "$dir/out")
}

example() { [ -x "$release/examples/$1" ] || { echo "run make bench: it builds $1" >&2; exit 1; }; }
