#!/bin/sh
# check.sh MODEL MUTANT... - checks a Promela model exhaustively with spin, and that every mutant of it is rejected.
# Exit status 77: spin is not installed. In the environment: SPIN_OPTIONS for the correct model (a larger case, such as
# "-DDEATHS=2 -DDUPLICATE"), PAN_OPTIONS for the verifier ("-DCOLLAPSE" saves memory), MEMLIM in MiB for the search.
set -eu
model=$1
shift
command -v spin >/dev/null || { echo "skipped: spin is not installed (apt-get install spin)"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/voxloom-model.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cp "$model" "$folder/model.pml"
cd "$folder"

# search NAME OPTIMISATION OPTIONS...: builds and runs the verifier; its report goes to NAME.out. A mutant is rejected so soon that
# compiling its verifier with optimisation takes longer than it saves.
search() {
    name=$1
    optimisation=$2
    shift 2
    spin "$@" -a model.pml >"$name.out" 2>&1 || { cat "$name.out"; exit 1; }
    "${CC:-cc}" "$optimisation" -w -DSAFETY ${PAN_OPTIONS:-} -DMEMLIM=${MEMLIM:-1500} -DVECTORSZ=2048 -o "$name" pan.c
    "./$name" -m20000 >>"$name.out" 2>&1 || true
    grep -q "^State-vector" "$name.out" || { cat "$name.out"; exit 1; }
}

# shellcheck disable=SC2086 # several options
search correct -O1 ${SPIN_OPTIONS:-}
grep -E "errors:|states, stored|elapsed" correct.out
if ! grep -q "errors: 0" correct.out || grep -qE "max search depth too small|out of memory|Search not completed" correct.out; then
    cat correct.out
    echo "the model fails, or was not searched to the end"
    exit 1
fi
for mutant in "$@"; do
    search "$mutant" -O0 "-D$mutant"
    if grep -q "errors: 0" "$mutant.out"; then
        echo "$mutant is not rejected: the model does not see this mistake"
        exit 1
    fi
    echo "$mutant: rejected ($(grep -m1 -oE 'assertion violated.*|invalid end state.*' "$mutant.out"))"
done
