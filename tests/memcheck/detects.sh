#!/bin/sh
# detects.sh CC - memcheck.sh sees each sort of mistake, in the program and in one that it starts and leaves; and nothing where
# nothing is.
set -u
here=$(cd "$(dirname "$0")" && pwd)
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed (apt-get install valgrind)"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/voxloom-detects.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
cat >"$folder/mistakes.c" <<'C'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **arguments) {
    volatile char *bytes = malloc(8);
    if (count < 2 || !bytes) return 2;
    switch (arguments[1][0]) {
    case 'u': return bytes[3] > 7;       /* unset */
    case 'i': bytes[8] = 1; break;      /* invalid */
    case 'l': bytes = NULL; return 0;    /* lost */
    case 'c':                      /* in a child, whose exit status nobody reads */
        if (fork() == 0) execl(arguments[0], arguments[0], "i", (char *)NULL);
        wait(NULL);
        break;
    }
    free((void *)bytes);
    return 0;
}
C
"$1" -O0 -w -o "$folder/mistakes" "$folder/mistakes.c" || exit 1
sh "$here/memcheck.sh" "$folder/mistakes" none || { echo "FAILED: finds a mistake where none is"; exit 1; }
for mistake in unset invalid lost child; do
    sh "$here/memcheck.sh" "$folder/mistakes" $mistake >"$folder/out" 2>&1
    [ $? -eq 99 ] && grep -q '^==' "$folder/out" && continue
    echo "FAILED: does not find the mistake: $mistake"
    cat "$folder/out"
    exit 1
done
