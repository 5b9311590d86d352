#!/bin/sh
# run.sh VOXLOOM - the sample program under memcheck, coordinator and two workers: computed and stored, found in the store, computed
# in memory with profile and trace, looked at without running, verified.
set -u
here=$(cd "$(dirname "$0")" && pwd)
voxloom=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/voxloom-memcheck-run.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
HOME=$folder
export HOME
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_CACHE_HOME
cp "$VOXLOOM_SOURCE/tests/programs/tumour.imgql" . || exit 1
"$voxloom" phantom flair.nii.gz --size 40x40x30 || exit 1

# check COMMAND...: its output is in $folder/out; a skip passes on.
check() {
    sh "$here/memcheck.sh" "$voxloom" "$@" >out 2>&1 && return
    status=$?
    echo "voxloom $*: exit status $status"
    cat out
    exit $status
}

check run tumour.imgql --store store --workers 2
cp out cold
check run tumour.imgql --store store --workers 2 --dry-run
check run tumour.imgql --store store --workers 2
for line in tumour_voxels share_of_brain mean_intensity; do
    [ "$(grep "^$line=" out)" = "$(grep "^$line=" cold)" ] && grep -q "^$line=" out && continue
    echo "FAILED: not what was stored: $line"
    cat cold out
    exit 1
done
check run tumour.imgql --store :memory: --workers 2 --profile=profile.json --trace trace.json
check explain tumour.imgql tumour_voxels --store store
check store verify --store store
