#!/bin/sh
# Installs the client libraries that tests/clients drives: the Python client into DIR/python-client, and the JavaScript
# one into tests/clients/node/node_modules, unless they are there. Both are pinned, with hashes, beside the scenarios.
#   clients.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"
clients=$repository/tests/clients

# up_to_date MARK FILE: the mark holds the list of packages that was installed last.
up_to_date() {
    [ -f "$1" ] && cmp -s "$1" "$2"
}

apt_install node nodejs
apt_install npm npm
python3 -m pip --version >/dev/null 2>&1 || apt_install pip3 python3-pip

if ! up_to_date "$dir/python-client/.installed" "$clients/python/requirements.txt"; then
    rm -rf "$dir/python-client"
    python3 -m pip install -q --disable-pip-version-check --no-deps --require-hashes --target "$dir/python-client" \
        -r "$clients/python/requirements.txt" >>"$log" 2>&1 || fail "pip could not install the Python client: see $log"
    cp "$clients/python/requirements.txt" "$dir/python-client/.installed"
fi

if ! up_to_date "$clients/node/node_modules/.installed" "$clients/node/package-lock.json"; then
    (cd "$clients/node" && npm ci --no-audit --no-fund) >>"$log" 2>&1 </dev/null ||
        fail "npm could not install the JavaScript client: see $log"
    cp "$clients/node/package-lock.json" "$clients/node/node_modules/.installed"
fi

echo "python client: $(sed -n 's/^kubernetes==\([^ ]*\).*/\1/p' "$clients/python/requirements.txt")"
echo "javascript client: $(sed -n 's/.*client-node": "\([^"]*\)".*/\1/p' "$clients/node/package.json")"
