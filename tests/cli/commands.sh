#!/bin/sh
# commands.sh - the command line as its users meet it, by real processes: help, usage errors, configuration, doctor, phantom,
# view, store, plan. Runs of programs are tested elsewhere. Usage: commands.sh VOXLOOM
set -u
voxloom=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/loom-commands-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
HOME=$folder/home
export HOME
mkdir "$HOME"
unset XDG_DATA_HOME XDG_CONFIG_HOME
failures=0
checks=0

# expect STATUS COMMAND...: runs it; its output is in $folder/out and $folder/err.
expect() {
    wanted=$1
    shift
    checks=$((checks + 1))
    "$voxloom" "$@" >out 2>err </dev/null
    got=$?
    [ "$got" -eq "$wanted" ] && return
    failures=$((failures + 1))
    echo "FAILED: voxloom $*: exit status $got, not $wanted"
    sed 's/^/    /' out err
}

# says FILE TEXT: FILE (out or err) of the last command contains TEXT.
says() {
    checks=$((checks + 1))
    grep -qF -- "$2" "$1" && return
    failures=$((failures + 1))
    echo "FAILED: std$1 of the last command does not say: $2"
    sed 's/^/    /' "$1"
}

silent() {
    checks=$((checks + 1))
    [ -s "$1" ] || return
    failures=$((failures + 1))
    echo "FAILED: std$1 of the last command is not empty:"
    sed 's/^/    /' "$1"
}

lines_at_most() {
    checks=$((checks + 1))
    [ "$(wc -l <"$1")" -le "$2" ] && return
    failures=$((failures + 1))
    echo "FAILED: std$1 of the last command has more than $2 lines"
}

# ---- help and usage ----
expect 0 --version
says out "voxloom 0."
expect 2
says out "usage: voxloom COMMAND"
expect 0 help
lines_at_most out 24
commands="run plan store view phantom topology doctor config help"
for command in $commands; do
    expect 0 help "$command"
    cp out help
    says out "usage: voxloom $command"
    lines_at_most out 24
    expect 0 "$command" --help
    checks=$((checks + 1))
    cmp -s out help || { failures=$((failures + 1)); echo "FAILED: $command --help differs from help $command"; }
    expect 2 "$command" --no-such-option
    says err "unknown option --no-such-option"
    lines_at_most err 1
done
expect 2 rnu
says err 'did you mean `voxloom run`?'
expect 2 help phantm
says err 'did you mean `voxloom phantom`?'
expect 2 run --stroe x p.imgql
says err "did you mean --store?"
expect 2 run
says err "something is missing"
expect 2 run a.imgql b.imgql
says err "one word too many"
expect 2 run --no-progress=yes a.imgql
says err "--no-progress takes no value"
expect 2 run a.imgql --summary
says err "--summary needs a value"
expect 2 run missing.imgql
says err "missing.imgql"
lines_at_most err 1
silent out
expect 2 run --workers many missing.imgql
says err "workers.count is not an integer"
expect 2 plan missing.imgql --format xml
says err "unknown format xml"

# ---- configuration ----
expect 0 config init
cp out init
expect 0 config init voxloom.toml
checks=$((checks + 1))
cmp -s init voxloom.toml || { failures=$((failures + 1)); echo "FAILED: config init FILE writes something else"; }
expect 2 config init voxloom.toml
says err "exists and is not overwritten"
expect 0 config check voxloom.toml
sed 's/^#\([a-z]\)/\1/' init >all.toml
expect 0 config check all.toml
expect 0 config show
cp out defaults
expect 0 config show --config all.toml
sed 's/  # .*//' defaults >defaults.values
sed 's/  # .*//' out >all.values
checks=$((checks + 1))
cmp -s defaults.values all.values || { failures=$((failures + 1)); echo "FAILED: uncommenting every default changes a setting"; }
says out "io.depth = 16  # all.toml:"
printf '[io]\ndepht = 3\n' >wrong.toml
expect 2 config check wrong.toml
says err "wrong.toml:2:1: error: unknown key io.depht; did you mean io.depth?"
says err "depht = 3"
printf '[io]\ndepth = "3"\n' >wrong.toml
expect 2 run --config wrong.toml p.imgql
says err "wrong.toml:2:9: error:"
printf '[io\n' >wrong.toml
expect 2 doctor --config wrong.toml
says err "wrong.toml:1:"
expect 2 config show --set io.ring=none
says err '"auto", "uring" or "posix"'
expect 0 config show --store /somewhere --workers 3 --set io.depth=4
says out 'store.path = "/somewhere"'
says out "workers.count = 3"
says out "io.depth = 4  # --set"
expect 2 config sohw
says err "unknown action sohw"

# ---- the machine ----
expect 0 doctor
for check in machine store "disk space" io_uring "locked memory" "file system"; do
    says out "$check"
done
expect 0 topology
[ "$(wc -l <out)" -ge 1 ] || { failures=$((failures + 1)); echo "FAILED: topology prints nothing"; }

# ---- phantom and view ----
expect 0 phantom a.nii.gz --size 40x36x20 --seed 7
expect 0 phantom b.nii.gz --size=40x36x20 --seed=7
checks=$((checks + 1))
cmp -s a.nii.gz b.nii.gz || { failures=$((failures + 1)); echo "FAILED: one seed gives two phantoms"; }
expect 0 phantom c.nii.gz --size 40x36x20 --seed 8
checks=$((checks + 1))
cmp -s a.nii.gz c.nii.gz && { failures=$((failures + 1)); echo "FAILED: two seeds give one phantom"; }
expect 2 phantom a.nii.gz --size 40x36
says err "--size 40x36 is not WIDTHxHEIGHTxDEPTH"
expect 2 phantom a.nii.gz --size 0x1x1
expect 2 phantom a.nii.gz --seed -1
expect 2 phantom a.jpg
says err "ends in neither"
expect 1 phantom a.nii.gz/inside-a-file.nii.gz --size 8x8x8
expect 0 view a.nii.gz a.png --over a.nii.gz --axis x --slice 3
checks=$((checks + 1))
[ "$(od -An -tx1 -N8 a.png | tr -d ' ')" = 89504e470d0a1a0a ] || { failures=$((failures + 1)); echo "FAILED: a.png is no PNG"; }
expect 2 view a.nii.gz a.png --axis x --slice 40
says err "slices 0 to 39"
expect 2 view a.nii.gz a.jpg
expect 2 view a.nii.gz a.png --axis w
expect 1 view missing.nii.gz a.png
says err "missing.nii.gz"

# ---- store ----
expect 1 store ls --store nothing-here
says err "nothing-here"
expect 2 store get --store nothing-here
says err "get takes ID and FILE"
expect 2 store lss
says err "unknown action lss"
expect 2 store ls --store :memory:
says err ":memory:"
checks=$((checks + 1))
[ -e nothing-here ] && { failures=$((failures + 1)); echo "FAILED: looking at a store made one"; }

# ---- store find ----
printf '{"patient": {"age": 61}, "modality": "flair", "scans": [{"dose": 1.5}, {"dose": 4}]}' >one.json
printf '{"patient": {"age": 30}, "modality": "t1"}' >two.json
expect 0 store put one.json --store found
expect 0 store put two.json --store found
expect 0 store find 'patient.age > 60 and modality == "flair"' --explain --store found
says out "patient.age"
says out "61"
says err "plan: index of fields: patient.age > 60 (1 entry, 2 results stored)"
says err "looked at 1 of 2 results"
expect 0 store find 'modality contains "t"' --explain --json --store found
says out '"type":"record"'
says err "plan: every record"
expect 0 store find 'exists patient' --limit 1 --store found
says err "more than 1"
expect 0 store find 'patient.age > 100' --store found
silent out
says err "no record matches"
expect 2 store find 'patient.age = 61' --store found
says err "query:1:13: error: = means nothing here; write =="
says err "            ^"
expect 2 store find --store found

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
