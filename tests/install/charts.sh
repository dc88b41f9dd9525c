#!/bin/sh
# Installs charts that others wrote as DIR/charts/NAME, unless they are there. The chart of dask-kubernetes comes with dask.sh.
#   charts.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

if ! [ -d "$dir/charts/redis-commander" ]; then
    npm_unpack redis-commander@0.9.0 456f45901358c93ffdee5acdcbbc3c8b19aea2ef43a2b9b5c43aacdea155d660
    mkdir -p "$dir/charts"
    mv "$scratch/npm/package/k8s/helm-chart/redis-commander" "$dir/charts/redis-commander"
fi
echo "chart: redis-commander $(sed -n 's/^version: //p' "$dir/charts/redis-commander/Chart.yaml")"
