#!/bin/sh
# memcheck.sh PROGRAM [ARGUMENT...] - runs it, and every process that it starts, under valgrind's memcheck. Fails if the program
# fails, or if one of the processes goes by a value that was never set, touches memory that it may not, or loses some. Exit status
# 77: valgrind is not installed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed (apt-get install valgrind)"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/voxloom-memcheck.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
status=0
# For tests that cannot be so under valgrind.
VOXLOOM_MEMCHECK=1
export VOXLOOM_MEMCHECK
# A log of its own for each process: nobody may look at the exit status of a worker that ends after its run.
valgrind --quiet --suppressions="$here/others.supp" --error-exitcode=99 --trace-children=yes --fair-sched=try --log-file="$folder/%p" \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$@" || status=$?
for log in "$folder"/*; do
    [ -s "$log" ] || continue
    cat "$log"
    [ $status -ne 0 ] || status=99
done
exit $status
