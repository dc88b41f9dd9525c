#!/bin/sh
# Installs the client libraries that tests/clients drives: the Python client into DIR/python-client, and the JavaScript
# one into tests/clients/node/node_modules, unless they are there. Both are pinned, with hashes, beside the scenarios.
#   clients.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"
clients=$repository/tests/clients

apt_install node nodejs
apt_install npm npm

pip_require "$dir/python-client" "$clients/python/requirements.txt"

if ! up_to_date "$clients/node/node_modules/.installed" "$clients/node/package-lock.json"; then
    (cd "$clients/node" && npm ci --no-audit --no-fund) >>"$log" 2>&1 </dev/null ||
        fail "npm could not install the JavaScript client: see $log"
    cp "$clients/node/package-lock.json" "$clients/node/node_modules/.installed"
fi

echo "python client: $(sed -n 's/^kubernetes==\([^ ]*\).*/\1/p' "$clients/python/requirements.txt")"
echo "javascript client: $(sed -n 's/.*client-node": "\([^"]*\)".*/\1/p' "$clients/node/package.json")"
