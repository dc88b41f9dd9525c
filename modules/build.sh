#!/bin/sh
# Builds guests into dist: all of them, or those named. The big ones (gohello, jshello) only when named.
#   build.sh [NAME...]
set -eu
. "$(dirname "$0")/env.sh"
"$modules/toolchain.sh"
[ $# -gt 0 ] || set -- hello echo caller front files writer reader crasher burner memory-bomb job sleeper echo-p2 pipe
for name; do
    [ -x "$modules/$name/build.sh" ] || fail "no such module: $name"
    "$modules/$name/build.sh"
    echo "$name: $(wc -c <"$out/$name.wasm") bytes"
done
