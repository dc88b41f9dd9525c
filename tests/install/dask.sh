#!/bin/sh
# Installs the custom resource definitions of an operator that others wrote as DIR/dask/crds/*.yaml, and an object of one of
# them as DIR/dask/simplecluster.yaml, unless they are there.
#   dask.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

if ! [ -d "$dir/dask" ]; then
    pip_unpack dask-kubernetes==2026.3.0
    operator=$scratch/pip/dask_kubernetes/operator
    mkdir -p "$scratch/dask"
    cp -r "$operator/deployment/helm/dask-kubernetes-operator/crds" "$scratch/dask/crds"
    cp "$operator/controller/tests/resources/simplecluster.yaml" "$scratch/dask/"
    mv "$scratch/dask" "$dir/dask"
fi
echo "dask: $(cat "$dir"/dask/crds/*.yaml | wc -c) bytes of definitions"
