#!/bin/sh
# Installs Debian's Chromium, in which the dashboard is tested, and Node unless they are there. The journeys drive it with
# playwright-core, which web/package.json brings.
#   chromium.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

apt_install node nodejs
apt_install npm npm
apt_install chromium chromium
[ -d "$repository/web/node_modules/playwright-core" ] || (cd "$repository/web" && npm ci --no-audit --no-fund) >>"$log" 2>&1 </dev/null ||
    fail "npm ci in web/ failed: see $log"
echo "chromium: $(chromium --version 2>/dev/null)"
