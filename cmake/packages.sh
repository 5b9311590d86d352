# packages.sh - the Debian packages that voxloom is built with, and how they are installed if missing. Read by
# quickstart.sh, test.sh and .ci/run: . cmake/packages.sh

# compiler and build; then the libraries of cmake/Dependencies.cmake
voxloom_packages="gcc g++ make cmake
    liblmdb-dev libhwloc-dev liburing-dev libssl-dev libxxhash-dev libmsgpack-dev
    zlib1g-dev libisal-dev libpng-dev libjpeg62-turbo-dev libtiff-dev libgdcm-dev libzstd-dev libtomlplusplus-dev libcmocka-dev"

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# A package may be installed for two architectures, hence lines.
is_installed() {
    dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# quietly WHAT LOG COMMAND...: its output goes to LOG, and is shown if it fails.
quietly() {
    what=$1
    log=$2
    shift 2
    "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; fail "$what failed; why is above and in $log"; }
}

# apt_install PACKAGE...: waits for another apt, such as that of a machine just started. If some source cannot be read it goes on
# with the lists it has: the packages may be there all the same.
apt_install() {
    $as_root apt-get update -q || true
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
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
            fail "packages are missing and there is no sudo; as root, run: apt-get update; apt-get install$missing"
        as_root=sudo
    fi
    say "Installing packages: about a minute"
    echo $missing
    mkdir -p "$root/build"
    quietly "the installation" "$root/build/packages.log" apt_install $missing
}

cores() {
    getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

# build FOLDER CMAKE_ARGUMENT...: configures and builds.
build() {
    folder=$1
    shift
    mkdir -p "$folder"
    quietly "cmake" "$folder/configure.log" cmake -S "$root" -B "$folder" "$@"
    quietly "the build" "$folder/build.log" cmake --build "$folder" --parallel "$(cores)"
}

# run_tests FOLDER [CTEST_ARGUMENT...]: ctest counts a program as passed when it skipped some of its cases, or all; so these are told after it.
run_tests() {
    status=0
    folder=$1
    shift
    (cd "$folder" && ctest --output-on-failure --no-tests=error --parallel 2 "$@") || status=$?
    log=$folder/Testing/Temporary/LastTest.log
    skipped=$(awk '/^\[  SKIPPED \] [0-9]+ test\(s\)/ { sum += $4 } END { print sum + 0 }' "$log")
    if [ "$skipped" -ne 0 ]; then
        printf '\n%s test cases were skipped, whole tests apart. All reasons:\n' "$skipped"
        grep -i -e '^skipped' -e 'skipped$' "$log" | sort -u
    fi
    return $status
}
