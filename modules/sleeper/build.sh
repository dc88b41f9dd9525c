#!/bin/sh
set -eu
. "$(dirname "$0")/../env.sh"
build_wat sleeper
