#!/usr/bin/env bash
# A CPU burner limited to 500m beside hello under a fixed load of a fifth of its capacity: how much does hello's p99 rise?
# And what does a native burner of the same size outside of the process do? Medians of five, taken in turn.
set -euo pipefail
. "$(dirname "$0")/hello.sh"
example fixed_rate
peak=$(throughput "$url")
rate=$(awk "BEGIN {print $peak/5}")
echo "capacity: $peak requests/s; the load is a fifth of it"
# The client stands for one on another machine: where that is allowed, no burner delays it.
client=(); ! chrt -f 1 true 2>/dev/null || client=(chrt -f 1)
p99() { "${client[@]}" "$release/examples/fixed_rate" "${url#http://}" "$rate" "${SECONDS_EACH:-5}"; }
native_burner() { exec python3 -c '
import time
while True:
    end = time.monotonic() + .05
    while time.monotonic() < end: pass
    time.sleep(.05)'; }
for _ in 1 2 3 4 5; do
  p99 >>"$dir/alone"
  "$peapod" apply --data-dir "$dir/data" -f "$root/manifests/burner.yaml" >/dev/null
  sleep 1
  p99 >>"$dir/beside"
  "$peapod" delete --data-dir "$dir/data" -f "$root/manifests/burner.yaml" >/dev/null
  sleep 1
  native_burner & burner=$!
  p99 >>"$dir/native"
  kill $burner
done
alone=$(median <"$dir/alone") beside=$(median <"$dir/beside") native=$(median <"$dir/native")
echo "p99 alone $alone ms; beside a native burner $native ms: ratio $(ratio "$native" "$alone")"
echo "beside the burner pod $beside ms: ratio $(ratio "$beside" "$alone") (goal: at most 1.5)"
