#!/bin/sh
# includes.sh - an include may only point down: runtime > planner, io, perf > shm. Siblings never include each other.
set -u
cd "$VOXLOOM_SOURCE" || exit 1
failures=0

# forbid ROOM OTHER...: no file of ROOM includes a header of OTHER.
forbid() {
    room=$1
    shift
    for other in "$@"; do
        # Benchmarks, and what they share, are programs in perf/, not part of the room.
        found=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$other[/_.]" "$room" --include='*.c' --include='*.h' --include='*.cpp' --exclude='bench*' | grep -v '^perf/kernels/')
        [ -n "$found" ] || continue
        failures=$((failures + 1))
        echo "$room/ must not include $other/:"
        echo "$found"
    done
}
forbid shm io planner runtime tests perf
forbid io planner runtime tests perf
forbid planner io runtime tests perf
forbid perf io planner runtime tests
forbid runtime tests perf/bench

# Every file that may be included is named from the root, so that the rule above can be read.
relative=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"\.\.?/' shm io planner perf runtime --include='*.c' --include='*.h' --include='*.cpp')
if [ -n "$relative" ]; then
    failures=$((failures + 1))
    echo "includes are named from the root of the repository:"
    echo "$relative"
fi
[ "$failures" -eq 0 ]
