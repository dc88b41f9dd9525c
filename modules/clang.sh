#!/bin/sh
# A C compiler for WASI: Debian's clang with its wasi-libc, or that of the wasi-sdk which WASI_SDK_PATH names.
set -eu
if [ -n "${WASI_SDK_PATH:-}" ]; then
    exec "$WASI_SDK_PATH/bin/clang" "$@"
fi
exec clang-19 --target=wasm32-wasi "$@"
