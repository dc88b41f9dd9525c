# What the benches of `hello` share; source it. Starts `peapod up` with hello.yaml in $dir and sets $url.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
release=$root/target/release
peapod=${PEAPOD:-$release/peapod}
command -v wrk >/dev/null || { echo "install wrk (apt-get install wrk)" >&2; exit 1; }
unset RUST_BACKTRACE
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
"$peapod" up --listen 127.0.0.1:0 --data-dir "$dir/data" --images "$root/modules/dist" \
  --apply "$root/manifests/hello.yaml" >"$dir/out" 2>"$dir/err" &
until grep -q '^ready ' "$dir/out"; do
  kill -0 $! 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
  sleep .05
done
url=$(sed -n 's/.*curl \(http[^ ]*\).*/\1/p' "$dir/out" | head -1)
curl -s "$url" | grep -q 'request 1' || { echo "hello does not answer at $url" >&2; exit 1; }

# throughput URL: requests a second.
throughput() { wrk -t1 -c32 -d"${SECONDS_EACH:-5}"s "$1/" | awk '/Requests\/sec/ {print $2}'; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
ratio() { awk "BEGIN {printf \"%.2f\", $1/$2}"; }
example() { [ -x "$release/examples/$1" ] || { echo "run make bench: it builds $1" >&2; exit 1; }; }
