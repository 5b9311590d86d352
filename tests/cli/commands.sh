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

fault() {
    failures=$((failures + 1))
    echo "FAILED: $1"
}

# check WHAT COMMAND...: the command holds; WHAT says what is meant.
check() {
    what=$1
    checks=$((checks + 1))
    shift
    "$@" || fault "$what"
}

# same_voxels A B: two .nii.gz files hold the same bytes (gzip's own may differ).
same_voxels() {
    gzip -dc "$1" >voxels1 && gzip -dc "$2" >voxels2 && cmp -s voxels1 voxels2
}

# ---- help and usage ----
expect 0 --version
says out "voxloom 0."
expect 2
says out "usage: voxloom COMMAND"
expect 0 help
lines_at_most out 24
commands="run plan explain list-primitives store view phantom topology doctor config help"
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
for check in machine memory store "disk space" io_uring "core claims" "locked memory" "open files" "file system"; do
    says out "$check"
done
expect 0 topology
[ "$(wc -l <out)" -ge 1 ] || { failures=$((failures + 1)); echo "FAILED: topology prints nothing"; }

# ---- the operators ----
expect 0 list-primitives vox1
says out "near(image) -> image"
says out "border([image]) -> image"
says out "  crossCorrelation(number, image, image, image, number, number, number) -> image"
says out "dilation by the 3x3x3 box"
check "other namespaces are not listed" sh -c '! grep -q "^default" out'
check "lines are at most 100 columns" awk 'length > 100 { wide = 1 } END { exit wide }' out
expect 0 list-primitives
for namespace in arrays default geom nnunet simpleitk strings test vox1; do
    check "$namespace is listed" grep -qx "$namespace" out
done
check "the runtime's own operators are not listed" sh -c '! grep -qx loom out'
check "lines are at most 100 columns" awk 'length > 100 { wide = 1 } END { exit wide }' out
cp out listed
expect 0 list-primitives --json
says out '{"name":"vox1.near","namespace":"vox1","call":"near(image) -> image","arguments":["image"],'
says out '"name":"nnunet.predict"'
check "each operator is one line of JSON" [ "$(wc -l <out)" -eq "$(grep -c -E ' (native|python) ' listed)" ]
check "what needs Python says so" sh -c 'grep "nnunet.predict" out | grep -q "\"kernel\":\"python\""'
expect 2 list-primitives vox2
says err "unknown namespace vox2; did you mean vox1? There are arrays, default,"
lines_at_most err 1
silent out

# ---- the plan over a machine ----
printf 'print "a" (1 + 2) * 3\n' >cut.imgql
expect 0 plan cut.imgql --partition='numa:2 core:4 pu:1' --store none
says out "digraph partition {"
says out "cross between 2 domains"
says out '4 cores'
expect 0 plan cut.imgql --partition --store none -o cut.dot
silent out
expect 2 plan cut.imgql --partition='no such machine' --store none
says err "no such machine"
expect 0 run cut.imgql --dry-run --store none
says out "would compute 2 of 2 nodes"
expect 0 explain cut.imgql a --store none
says out "no result of this operator was ever stored here"
check "a look at a plan makes no store" [ ! -e none ]

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

# ---- store: usage ----
expect 1 store ls --store nothing-here
says err "nothing-here"
expect 2 store get --store nothing-here
says err "something is missing"
expect 2 store lss
says err 'did you mean `voxloom store ls`?'
expect 2 store
says err "something is missing"
expect 2 store ls --store :memory:
says err ":memory:"
check "looking at a store made one" test ! -e nothing-here
actions="ls stat get put find goals pin unpin pins derived-from rm invalidate gc verify backup restore export import upgrade rekey"
for action in $actions; do
    expect 0 help store "$action"
    cp out help
    says out "usage: voxloom store $action"
    lines_at_most out 24
    expect 0 store "$action" --help
    check "store $action --help differs from help store $action" cmp -s out help
    expect 2 store "$action" --no-such-option
    says err "unknown option --no-such-option"
    lines_at_most err 1
    expect 0 help store
    says out "$action"
done
expect 2 help phantom ls
says err "phantom has no actions"

# ---- store: a run to look at ----
cat >brain.imgql <<'PROGRAM'
import "simpleitk"
import "vox1"
flair = intensity(ReadImage("a.nii.gz"))
brain = not(touch(flair <=. 0.1, border))
print "brain" volume(brain)
save "brain.nii.gz" brain
PROGRAM
run() { expect 0 run brain.imgql --store s --workers 1 --set workers.pin=false --quiet "$@"; }
run
grep '^brain=' out >brain.text
expect 0 store ls --store s
says out "vox1.volume"
says out "40x36x20 bool8"
rows=$(($(wc -l <out) - 1))
expect 0 store ls --store s --type image --op vox1.not
check "ls --type --op shows one line" test "$(wc -l <out)" -eq 2
expect 0 store ls --store s --op not --json
check "ls --json is one object" test "$(wc -l <out)" -eq 1
says out '"operator":"vox1.not"'
says out '"dtype":"bool8"'
says out '"size":[40,36,20]'
expect 0 store ls --store s --goal brain
says out "vox1.volume"
expect 0 store ls --store s --sort size --limit 1
says out "vox1.intensity"
expect 0 store ls --store s --sort operator
expect 0 store ls --store s --older-than 1h
silent out
says err "no result"
expect 0 store ls --store s --larger-than 10MiB
silent out
expect 2 store ls --store s --older-than soon
expect 2 store ls --store s --larger-than much
expect 2 store ls --store s --sort colour
expect 2 store ls --store s --type picture
expect 2 store ls --store s --limit -1
expect 1 store ls --store s --goal nothing
expect 0 store stat --store s
for word in results disk images index free "time saved" "in use by" type operator vox1.intensity; do
    says out "$word"
done
expect 0 store stat --store s --json
says out "\"results\":$rows,"
lines_at_most out 1
expect 0 store goals --store s
says out "brain.nii.gz"
expect 0 store goals --store s --json
says out '"goal":"brain"'

# ---- store: get, put, rm ----
expect 0 store get goal:brain --store s
check "get prints what the run printed" test "brain=$(cat out)" = "$(cat brain.text)"
expect 0 store get goal:brain.nii.gz brain2.nii.gz --store s
check "get gives the file that save wrote" same_voxels brain.nii.gz brain2.nii.gz
expect 2 store get goal:brain.nii.gz --store s
says err "name a file"
expect 2 store get goal:brain.nii.gz x.gif --store s
expect 1 store get 0000000000 --store s
expect 2 store get 12 --store s
expect 1 store get key:nobody --store s
expect 0 store put a.nii.gz --store s --key base
expect 0 store get key:base back.nii.gz --store s
check "an image comes back as it was put" same_voxels a.nii.gz back.nii.gz
printf '{"patient": {"age": 63}, "modality": "flair", "x": [1, 2.5, null, true]}' >r.json
expect 0 store put r.json --store s
id=$(cat out)
expect 0 store put r.json --store s
check "the same value put twice is one" test "$(cat out)" = "$id"
expect 0 store get "$id" r2.json --store s
expect 0 store put r2.json --store s
check "JSON comes back" test "$(cat out)" = "$id"
printf 'some text' >t.txt
expect 0 store put t.txt --key text --store s
expect 0 store put t.txt --key text --store s
printf 'other text' >t.txt
expect 1 store put t.txt --key text --store s
says err "holds another value"
expect 0 store put t.txt --key text --store s --replace
expect 0 store get key:text --store s
says out "other text"
printf '\377\376\000x' >b.bin
expect 0 store put b.bin --key bytes --store s --evictable
expect 0 store get key:bytes b2.bin --store s
check "bytes come back" cmp -s b.bin b2.bin
expect 0 store find 'patient.age > 60 and modality == "flair"' --store s
says out "$(echo "$id" | cut -c1-12)"
expect 1 store put missing.txt --store s
expect 2 store put "[]" r.json --store s
expect 2 store rm key:bytes --store s
says err "--yes"
expect 0 store rm key:bytes --store s --yes
expect 1 store get key:bytes --store s
expect 1 store rm key:bytes --store s --yes

# ---- store: pins ----
expect 0 store pins --store s
says out "put"
expect 0 store pin goal:brain "$id" --store s
expect 0 store pins --store s --json
says out '"owner":"goal:brain"'
says out '"owner":"hand"'
expect 0 store unpin "$id" --store s
expect 1 store unpin "$id" --store s
says err "is not pinned by hand"
expect 1 store pin goal:nothing --store s

# ---- store: lineage, gc, verify ----
expect 0 store derived-from a.nii.gz --store s
says out "vox1.volume"
says out "simpleitk.ReadImage"
expect 1 store derived-from brain.imgql --store s
expect 0 store verify --store s
says out "as it was stored"
expect 0 store verify --index --json --store s
says out '"findings":0'
expect 0 store gc --dry-run --older-than 30d --store s
says out "nothing was changed"
expect 0 store gc --store s --json
says out '"dry_run":false'
expect 2 store gc --older-than soon --store s
expect 0 store rm goal:brain.nii.gz --store s --yes
run
grep '^brain=' out >again.text
check "a result that was removed is computed again" cmp -s brain.text again.text
expect 2 store invalidate --store s
expect 2 store invalidate --op vox1.not --store s
says err "--yes"
expect 0 store invalidate --op vox1.not --store s --yes
expect 0 store ls --op vox1.not --store s
silent out
expect 1 store invalidate --op no.such --store s --yes
run
expect 0 store invalidate --input a.nii.gz --store s --yes --json
says out '"results":'
expect 0 store ls --op vox1.intensity --store s
silent out
run

# ---- store: backup, restore, export, import ----
expect 0 store backup copy --store s
says out "backed up"
expect 0 store put t.txt --store s
expect 0 store backup copy --store s --json
says out '"results":1,'
expect 0 store restore copy s2
expect 0 store get goal:brain --store s2
check "a restored store has the results" test "brain=$(cat out)" = "$(cat brain.text)"
expect 0 store verify --store s2
expect 2 store restore copy s2
checks=$((checks + 1))
"$voxloom" store backup - --store s 2>err >stream && "$voxloom" store restore - s3 <stream >out 2>>err || fault "backup through a pipe"
expect 0 store get key:text --store s3
says out "other text"
expect 0 store export goal:brain key:base some.pack --store s
says out "exported 2"
expect 0 store import some.pack --store s4
says out "imported 2"
expect 0 store import some.pack --store s4 --json
says out '"skipped":2'
expect 0 store get key:base back4.nii.gz --store s4
check "an imported image is the same" same_voxels a.nii.gz back4.nii.gz
head -c 100 some.pack >short.pack
expect 1 store import short.pack --store s4
lines_at_most err 1
expect 1 store backup a.nii.gz/inside --store s

# ---- store: settings reach it ----
expect 0 run brain.imgql --store settings --workers 1 --set workers.pin=false --quiet --set store.ttl=30d --set store.budget=64MiB --set store.compression=always
expect 0 store ls --store settings --json --op vox1.not
says out '"codec":"zstd"'
says out '"expires":1'
expect 0 store put r.json --store settings --set store.ttl=30d
expect 0 store ls --store settings --json --op loom.put
says out '"expires":null'
expect 0 store stat --store settings --set store.budget=64MiB
says out "64.0 MiB, the budget"
says out "compressed to"
expect 0 store verify --store settings
expect 0 store get goal:brain --store settings
check "compressed results are the same" test "brain=$(cat out)" = "$(cat brain.text)"

# ---- store: moved, upgraded, encrypted ----
mv s3 moved
expect 0 store verify --store moved
expect 0 store upgrade --store moved --yes
says err "already"
expect 2 store upgrade --store moved
expect 2 store rekey --store moved --yes
printf 'a secret of the user, long enough\n' >key
printf 'another secret, long enough too\n' >key2
chmod 600 key key2
expect 0 store put r.json --store e --key record --set store.key=file:key
expect 0 store get key:record --store e --set store.key=file:key
expect 1 store get key:record --store e
expect 1 store get key:record --store e --set store.key=file:key2
says err "key"
expect 0 store rekey --new-key file:key2 --store e --set store.key=file:key --yes
expect 0 store get key:record --store e --set store.key=file:key2
expect 1 store get key:record --store e --set store.key=file:key
expect 0 config show --set store.key=file:key
says out 'store.key = "file:key"'
chmod 644 key
expect 2 store get key:record --store e --set store.key=file:key
check "no secret is shown" sh -c '! grep -q "long enough" out err'

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
