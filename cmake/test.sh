#!/bin/sh
# test.sh - builds voxloom and its tests into build/ and runs them all; installs what is missing, as quickstart.sh does.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/packages.sh"

install_packages $voxloom_packages
say "Building voxloom and its tests: some minutes"
build "$root/build" -C "$root/cmake/release.cmake" -DVOXLOOM_TESTS=ON "$@"
say "Testing"
run_tests "$root/build"
