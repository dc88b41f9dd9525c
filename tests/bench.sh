#!/usr/bin/env bash
# Every bench, against target/release/peapod. Figures go to docs/benchmarks.md by hand, with the machine they are from.
set -euo pipefail
cd "$(dirname "$0")/bench"
unset RUST_BACKTRACE
for bench in start.py pods.py idle.py join.py; do echo "== $bench"; python3 "$bench"; done
for bench in http.sh neighbour.sh page.sh api.sh; do echo "== $bench"; bash "$bench"; done
