#!/bin/sh
# Installs an operator that others wrote, dask-kubernetes, as DIR/dask, unless it is there. It runs with the Python client
# beside it; its package carries its chart, its custom resource definitions and objects of them.
#   dask.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

pip_require "$dir/dask" "$repository/tests/clients/dask/requirements.txt"
echo "dask-kubernetes: $(sed -n 's/^dask-kubernetes==\([^ ]*\).*/\1/p' "$repository/tests/clients/dask/requirements.txt")"
