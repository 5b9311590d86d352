#!/bin/sh
# probes.sh - where <sys/sdt.h> was there at build time, the programs carry the probes that shm/usdt.h names, as tools
# find them: in ELF notes.
set -u
[ "$VOXLOOM_HAS_SDT" = 1 ] || { echo "skipped: built without <sys/sdt.h> (systemtap-sdt-dev)"; exit 77; }
command -v readelf >/dev/null || { echo "skipped: no readelf (binutils)"; exit 77; }
failures=0

# carries PROGRAM PROBE ARGUMENTS: the probe is in the program's notes with so many arguments ("8@%rax -4@...").
carries() {
    notes=$(LC_ALL=C readelf -n "$VOXLOOM_BUILD/$1" | grep -A 3 '^ *Provider: voxloom$' | grep -A 2 "^ *Name: $2\$")
    count=$(printf '%s\n' "$notes" | sed -n 's/^ *Arguments: //p' | head -n 1 | wc -w)
    [ -n "$notes" ] && [ "$count" -eq "$3" ] && return
    failures=$((failures + 1))
    echo "$1 has no probe voxloom:$2 with $3 arguments"
}
carries voxloom-worker task__start 3
carries voxloom-worker task__end 3
carries voxloom-worker steal 2
carries voxloom-worker evict 2
carries voxloom commit 2
carries voxloom evict 2
[ "$failures" -eq 0 ]
