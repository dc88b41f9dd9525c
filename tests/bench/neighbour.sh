#!/usr/bin/env bash
# A CPU burner limited to 500m beside hello under a fixed load: how much does hello's p99 rise? Median of five.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
peapod=${PEAPOD:-$root/target/release/peapod}
dir=$(mktemp -d)
unset RUST_BACKTRACE
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
"$peapod" up --listen 127.0.0.1:0 --data-dir "$dir/data" --images "$root/modules/dist" \
  --apply "$root/manifests/hello.yaml" >"$dir/out" 2>"$dir/err" &
until grep -q '^ready ' "$dir/out"; do sleep .05; done
url=$(sed -n 's/.*curl \(http[^ ]*\).*/\1/p' "$dir/out" | head -1)
peak=$(wrk -t1 -c32 -d5s "$url/" | awk '/Requests\/sec/ {print $2}')
echo "capacity: $peak requests/s; the load is a fifth of it"
p99() { python3 "$root/tests/bench/fixed_rate.py" "$url" "$(awk "BEGIN {print $peak/5}")" 5; }
median() { sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
for _ in 1 2 3 4 5; do p99; done >"$dir/alone"
"$peapod" apply --data-dir "$dir/data" -f "$root/manifests/burner.yaml"
for _ in 1 2 3 4 5; do p99; done >"$dir/beside"
a=$(median <"$dir/alone"); b=$(median <"$dir/beside")
echo "p99 alone $a ms, beside the burner $b ms: ratio $(awk "BEGIN {printf \"%.2f\", $b/$a}") (goal: at most 1.5)"
