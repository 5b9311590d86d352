#!/bin/sh
# exports.sh - libvoxloom exports exactly the functions that cmake/voxloom.map names, and these are the ones that
# <voxloom.h>, <voxloom/status.h> and <voxloom/store.h> declare.
set -u
command -v nm >/dev/null || { echo "skipped: no nm"; exit 77; }
[ -n "$VOXLOOM_SANITIZE" ] && { echo "skipped: a sanitizer exports symbols of its own"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/loom-exports-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT

nm -D --defined-only "$VOXLOOM_LIBRARY" | awk '$2 ~ /^[TDBRVW]$/ { sub(/@.*/, "", $3); print $3 }' | sort >"$folder/exported"
sed -n 's/^ *\(loom_[a-z_]*\);$/\1/p' "$VOXLOOM_SOURCE/cmake/voxloom.map" | sort >"$folder/listed"
cat "$VOXLOOM_SOURCE/runtime/voxloom.h" "$VOXLOOM_SOURCE/runtime/voxloom_store.h" "$VOXLOOM_SOURCE/shm/status.h" |
    sed -n 's/^\(LOOM_API \)\{0,1\}\(const \)\{0,1\}[a-z0-9_]* \**\(loom_[a-z_]*\)(.*/\3/p; s/^\(loom_fail[a-z_]*\)(.*/\1/p' |
    sort -u >"$folder/declared"
diff -u "$folder/listed" "$folder/exported" || { echo "exported (+) is not what cmake/voxloom.map lists (-)"; exit 1; }
diff -u "$folder/listed" "$folder/declared" || { echo "declared (+) is not what cmake/voxloom.map lists (-)"; exit 1; }
