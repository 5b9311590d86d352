# packages.sh - the Debian packages that voxloom is built with, and how they are installed if missing. Read by
# quickstart.sh, test.sh and .ci/run: . cmake/packages.sh

# compiler and build; then the libraries of cmake/Dependencies.cmake
voxloom_packages="gcc g++ make cmake
    liblmdb-dev libhwloc-dev liburing-dev libssl-dev libxxhash-dev libmsgpack-dev
    zlib1g-dev libpng-dev libtomlplusplus-dev libcmocka-dev"

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages PACKAGE...: installs those that are missing; asks sudo when not root. On a system without dpkg it
# leaves the matter to CMake, which names each library that it does not find.
install_packages() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "packages are missing and there is no sudo; as root, run: apt-get install$missing"
        as_root=sudo
    fi
    say "Installing:$missing"
    $as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@"' \
        sh $missing || fail "the installation failed; by hand: apt-get install$missing"
}

cores() {
    getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

# quietly LOG COMMAND...: its output goes to LOG, and is shown if it fails.
quietly() {
    log=$1
    shift
    "$@" >"$log" 2>&1 || { cat "$log" >&2; fail "$1 failed; its output is above and in $log"; }
}

# build FOLDER CMAKE_ARGUMENT...: configures and builds.
build() {
    folder=$1
    shift
    mkdir -p "$folder"
    quietly "$folder/configure.log" cmake -S "$root" -B "$folder" "$@"
    quietly "$folder/build.log" cmake --build "$folder" --parallel "$(cores)"
}

# run_tests FOLDER
run_tests() {
    (cd "$1" && ctest --output-on-failure --no-tests=error --parallel 2)
}
