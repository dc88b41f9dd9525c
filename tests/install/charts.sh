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
# A driver of Magnum's that carries the charts which it installs: the same archive on every machine, for the charts alone.
vendored="cilium cluster-autoscaler openstack-cinder-csi openstack-manila-csi"
if ! [ -d "$dir/charts/openstack-manila-csi" ]; then
    pip_archive magnum-cluster-api==0.38.2 7e32ff3a607e58edacb22edad2e3f61805b892fc73038bdea43eccb498b85875 manylinux_2_28_x86_64
    for chart in $vendored; do
        rm -rf "$dir/charts/$chart"
        mv "$scratch/archive/magnum_cluster_api/charts/$chart" "$dir/charts/$chart"
    done
fi
for chart in redis-commander $vendored; do
    echo "chart: $chart $(sed -n 's/^version: //p' "$dir/charts/$chart/Chart.yaml")"
done
