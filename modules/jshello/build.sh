#!/bin/sh
# Takes Node at hand and two packages from npm. The component is 13 MB, so it is not committed.
set -eu
. "$(dirname "$0")/../env.sh"
command -v npm >/dev/null || fail "needs Node.js 20 or later with npm"
cd "$modules/jshello"
[ -d node_modules/@bytecodealliance/componentize-js ] ||
    npm install --silent --no-fund --no-audit --no-package-lock >>"$tools/install.log" 2>&1 ||
    fail "npm could not install componentize-js: see $tools/install.log"

# The engine speaks WASI 0.2.10, and jco has those interfaces under a later number.
wit=$(mktemp -d)
trap 'rm -rf "$wit"' EXIT
cp world.wit "$wit"
for package in node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12/*; do
    mkdir -p "$wit/deps/${package##*/}"
    sed 's/0\.2\.1[12]/0.2.10/g' "$package/package.wit" >"$wit/deps/${package##*/}/package.wit"
done
node componentize.js "$wit" "$out/jshello.wasm" 2>>"$tools/install.log" || fail "componentize failed: see $tools/install.log"
