#!/bin/sh
# Installs all that the tests need and is not there yet, nothing of it system-wide but Debian packages:
#   DIR/kubectl-new, DIR/kubectl-old   two kubectl
#   DIR/helm                           Helm 3
#   DIR/images/*.wasm                  third-party programs, and the guests that are too big to be committed
#   DIR/python-client, and node_modules in tests/clients/node: the client libraries
#   DIR/dask, DIR/charts               an operator and charts that others wrote
#   modules/.toolchain                 what builds guests
#   all.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

apt_install curl curl ca-certificates
apt_install python3 python3
apt_install ip iproute2
apt_install faketime faketime
"$repository/tests/install/kubectl.sh" "$dir"
"$repository/tests/install/chromium.sh" "$dir"
"$repository/tests/install/clients.sh" "$dir"
"$repository/tests/install/dask.sh" "$dir"
"$repository/tests/install/charts.sh" "$dir"
"$repository/modules/toolchain.sh"
"$repository/tests/install/third-party.sh" "$dir/images"
for guest in gohello; do
    built=$dir/images/$guest.wasm
    if ! [ -s "$built" ] || [ -n "$(find "$repository/modules/$guest" -type f -newer "$built")" ]; then
        OUT=$dir/images "$repository/modules/build.sh" "$guest"
    fi
done
