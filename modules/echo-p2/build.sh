#!/bin/sh
set -eu
. "$(dirname "$0")/../env.sh"
build_rust echo-p2 command
