#!/bin/sh
# api_examples.sh - the examples of runtime/API.md: every block of C is compiled against <voxloom.h> and the shared library
# and run, every block of shell is run, in the order of the page, in one folder; a text block right behind one is what it
# must print. A block behind a comment "not run: REASON" is left out. C is compiled as C++ too, where there is a compiler.
set -u
[ -n "$VOXLOOM_SANITIZE" ] && { echo "skipped: a host program without the sanitizer cannot load this library"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/loom-examples-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
mkdir blocks work home
HOME=$folder/home
XDG_CONFIG_HOME=$HOME
VOXLOOM_WORKERS_PIN=false
PATH=$VOXLOOM_BUILD:$PATH
LD_LIBRARY_PATH=$VOXLOOM_BUILD
CPATH=$VOXLOOM_SOURCE/runtime:$VOXLOOM_BUILD/include # where an installed copy has its headers in /usr/include
export HOME XDG_CONFIG_HOME VOXLOOM_WORKERS_PIN PATH LD_LIBRARY_PATH CPATH
ln -s "$VOXLOOM_BUILD/voxloom-worker" work/voxloom-worker # beside the programs that are built here

awk '
    /^<!-- not run: / { skip = 1; next }
    /^```(c|sh)$/ && !skip { number++; file = sprintf("blocks/%02d.%s", number, substr($0, 4)); fresh = 1; next }
    /^```text$/ && fresh { file = sprintf("blocks/%02d.text", number); next }
    /^```/ { file = ""; if ($0 != "```") file = "/dev/null"; else skip = 0; next }
    file != "" { print >file; next }
    /./ { fresh = 0 }
' "$VOXLOOM_SOURCE/runtime/API.md"

run() {
    case $1 in
    *.c)
        "$VOXLOOM_CC" -std=c11 -Wall -Wextra -Werror -I"$VOXLOOM_SOURCE/runtime" -I"$VOXLOOM_BUILD/include" "$1" -L"$VOXLOOM_BUILD" -lvoxloom \
            -o work/example || return 1
        (cd work && ./example)
        ;;
    *) (cd work && sh -eu "../$1") ;;
    esac
}

failures=0
count=0
for block in blocks/*.c blocks/*.sh; do
    [ -e "$block" ] || continue
    echo "$block"
done | sort >order
while read -r block; do
    count=$((count + 1))
    rm -f difference
    run "$block" >out 2>err </dev/null
    status=$?
    wanted=${block%.*}.text
    [ -e "$wanted" ] || : >"$wanted"
    if [ "$status" -ne 0 ] || ! diff -u "$wanted" out >difference; then
        failures=$((failures + 1))
        echo "FAILED: block $block of runtime/API.md: exit status $status"
        cat err difference 2>/dev/null
        sed -n 1,5p "$block"
    fi
done <order
for block in blocks/*.c; do
    [ -n "${VOXLOOM_CXX:-}" ] || break
    sed 's/ = calloc(/ = (uint16_t *)calloc(/' "$block" >block.cpp # the one thing that C++ wants otherwise
    "$VOXLOOM_CXX" -std=c++20 -Wall -Wextra -Werror -Wno-missing-field-initializers -fsyntax-only -I"$VOXLOOM_SOURCE/runtime" -I"$VOXLOOM_BUILD/include" block.cpp || {
        failures=$((failures + 1))
        echo "FAILED: block $block is no C++"
    }
done
echo "$count examples, $failures failed"
[ "$count" -ge 6 ] && [ "$failures" -eq 0 ]
