#!/bin/sh
# memory_limits.sh - the tumour program under a hard limit of memory: a cgroup, in which page cache counts too.
#
#   perf/memory_limits.sh BUILD head      a head of 240 x 240 x 155 voxels under 512 MiB; the same goals as without a limit, or it fails
#   perf/memory_limits.sh BUILD volume    1024 x 1024 x 1024 voxels of uint8 under 4 GiB: minutes, and some 45 GB of disk
#
# BUILD holds voxloom and voxloom-worker. Works in a new folder below the one it is called in, which must be on a disk: what lies
# on a tmpfs is memory. Prints the goals, wall time, and what the kernel counted: the most that was in use (with page cache, which
# fills whatever there is), how often the limit was met, and the most that was not page cache as voxloom itself tells (peak).
# Exit status 77 where no memory cgroup can be made.
set -u
build=$(cd "$1" && pwd) || exit 1
what=${2:-head}
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d "$PWD/voxloom-limits.XXXXXX") || exit 1
group=
cleanup() {
    rm -rf "$folder"
    [ -z "$group" ] || rmdir "$group" 2>/dev/null
}
trap cleanup EXIT
trap 'exit 1' INT TERM
cd "$folder" || exit 1
HOME=$folder
export HOME
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_CACHE_HOME

# make_group BYTES: a memory cgroup of version 2 or 1.
make_group() {
    for at in /sys/fs/cgroup:memory.max:memory.peak:memory.events /sys/fs/cgroup/memory:memory.limit_in_bytes:memory.max_usage_in_bytes:memory.failcnt; do
        above=${at%%:*}
        names=${at#*:}
        limit=${names%%:*}
        names=${names#*:}
        [ -w "$above/cgroup.procs" ] && mkdir "$above/voxloom-limits-$$" 2>/dev/null || continue
        group=$above/voxloom-limits-$$
        most=$group/${names%%:*}
        met=$group/${names#*:}
        if (echo "$1" >"$group/$limit") 2>/dev/null; then
            (echo 0 >"$group/memory.swap.max") 2>/dev/null
            (echo "$1" >"$group/memory.memsw.limit_in_bytes") 2>/dev/null
            return 0
        fi
        rmdir "$group"
        group=
    done
    echo "no memory cgroup can be made here: skipped"
    exit 77
}

# limited COMMAND...: in the group from its first instruction on.
limited() {
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

goals() {
    grep -E '^(tumour_voxels|share_of_brain|mean_intensity)=' "$1"
}

case $what in
head)
    make_group 536870912
    "$build/voxloom" phantom flair.nii.gz >/dev/null || exit 1
    cp "$root/tests/programs/tumour.imgql" . || exit 1
    ;;
volume)
    make_group 4294967296
    echo 'import "simpleitk"
import "vox1"
save "flair.nii" Cast(div_vs(intensity(ReadImage("whole.nii")), 8), GetPixelIDValueFromString("sitkUInt8"))' >make.imgql
    "$build/voxloom" phantom whole.nii --size 1024x1024x1024 >/dev/null || exit 1
    "$build/voxloom" run make.imgql --store made --quiet || exit 1
    rm -rf made whole.nii
    sed 's/flair\.nii\.gz/flair.nii/' "$root/tests/programs/tumour.imgql" >tumour.imgql
    ;;
*)
    echo "usage: memory_limits.sh BUILD head|volume"
    exit 1
    ;;
esac

start=$(date +%s)
limited "$build/voxloom" run tumour.imgql --store store --no-progress >out 2>err
status=$?
cat out
tail -n 3 err
echo "$what: exit status $status, $(($(date +%s) - start)) s; most in use $(($(cat "$most" 2>/dev/null || echo 0) >> 20)) MiB with page cache; limit met: $(grep -E '^(max [0-9]+|[0-9]+)$' "$met" | tr -dc 0-9) times"
[ $status -eq 0 ] || exit 1
[ "$what" = head ] || exit 0

"$build/voxloom" run tumour.imgql --store :memory: --quiet >free || exit 1
[ -n "$(goals out)" ] && [ "$(goals out)" = "$(goals free)" ] && exit 0
echo "FAILED: other results without a limit:"
cat free
exit 1
