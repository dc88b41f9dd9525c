#!/bin/sh
# Builds a committed guest anew and compares what it imports and exports with the committed one.
#   check.sh NAME
# Prints the interface of the new one, or the difference and ends with 1. Leaves the new one in $OUT, if that is set.
set -eu
[ $# = 1 ] || { echo "usage: $0 NAME" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
OUT=${OUT:-$scratch}
export OUT
. "$(dirname "$0")/env.sh"

# interface FILE: a component's world (which interfaces), or the sorted names of a module's imports and exports.
interface() {
    if "$wasm_tools" component wit "$1" >"$scratch/wit" 2>/dev/null; then
        sed -n '/^world/,/^}/p' "$scratch/wit"
        return
    fi
    "$wasm_tools" print --skeleton "$1" |
        sed -nE 's/^ *\(import ("[^"]*" "[^"]*") \((func|memory|table|global|tag).*/import \1 \2/p
                 s/^ *\(export ("[^"]*") \((func|memory|table|global|tag).*/export \1 \2/p' | sort
}

"$modules/build.sh" "$1" >&2
interface "$modules/dist/$1.wasm" >"$scratch/committed.txt"
interface "$OUT/$1.wasm" >"$scratch/built.txt"
[ -s "$scratch/built.txt" ] || fail "$1: nothing imported, nothing exported"
if ! diff -u "$scratch/committed.txt" "$scratch/built.txt"; then
    fail "$1: the committed module and its source have parted: run modules/build.sh $1 and commit modules/dist/$1.wasm"
fi
cat "$scratch/built.txt"
