#!/usr/bin/env bash
# The dashboard in Chromium: bytes on the wire of the first load, and the time from the start of the navigation to a
# filled table of PODS (default 3000) pods. Medians of five, each in a fresh browser.
set -euo pipefail
. "$(dirname "$0")/serve.sh"
serve up
export PEAPOD_SERVER=$api PEAPOD_TOKEN NODE_EXTRA_CA_CERTS=$dir/data/pki/ca.crt
PEAPOD_TOKEN=$(cat "$dir/data/admin.token")
node "$root/tests/bench/page.mjs" "${PODS:-3000}"
