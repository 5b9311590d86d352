#!/bin/sh
# install.sh - an installed copy, in a folder of its own: the programs start, and a C program is built against header and
# library and runs a voxloom program. Compiled as the documentation says, without a look into the source tree.
set -eu
[ -n "$VOXLOOM_SANITIZE" ] && { echo "skipped: a host program without the sanitizer cannot load this library"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/loom-install-XXXXXX")
trap 'rm -rf "$folder"' EXIT
"$VOXLOOM_CMAKE" --install "$VOXLOOM_BUILD" --prefix "$folder/usr" >"$folder/log" || { cat "$folder/log"; exit 1; }

library=$(dirname "$(find "$folder/usr" -name 'libvoxloom.so')")
[ -f "$library/pkgconfig/voxloom.pc" ] || { echo "no voxloom.pc"; exit 1; }
"$folder/usr/bin/voxloom" --version | grep -q '^voxloom [0-9]'
# An installed program finds the part that reads DICOM, which is loaded when it is needed: an image of 2x2 voxels.
{
    head -c 128 /dev/zero
    printf 'DICM\002\000\020\000UI\024\0001.2.840.10008.1.2.1\000'
    printf '\050\000\002\000US\002\000\001\000\050\000\004\000CS\014\000MONOCHROME2 '
    printf '\050\000\020\000US\002\000\002\000\050\000\021\000US\002\000\002\000'
    printf '\050\000\000\001US\002\000\010\000\050\000\001\001US\002\000\010\000'
    printf '\050\000\002\001US\002\000\007\000\050\000\003\001US\002\000\000\000'
    printf '\340\177\020\000OB\000\000\004\000\000\000\001\002\003\004'
} >"$folder/x.dcm"
printf 'import "simpleitk"\nimport "vox1"\nprint "most" max(ReadImage("%s/x.dcm"))\n' "$folder" >"$folder/x.imgql"
got=$("$folder/usr/bin/voxloom" run "$folder/x.imgql" --store :memory: -q)
[ "$got" = "most=4.0" ] || { echo "the DICOM program printed: $got"; exit 1; }

cat >"$folder/host.c" <<'PROGRAM'
#include <string.h>
#include <voxloom.h>

int main(int argc, char **argv) {
    const loom_runtime_options options = {
        .size = sizeof options, .store_path = ":memory:", .workers = 1, .worker_program = argc > 1 ? argv[1] : NULL};
    const char *program = "print \"six\" fold + [1, 2, 3]";
    loom_error err = {0};
    loom_runtime *runtime = NULL;
    if (loom_runtime_open(&options, &runtime, &err) != LOOM_OK ||
        loom_runtime_run_text(runtime, "six.imgql", program, strlen(program), stdout, NULL, &err) != LOOM_OK) {
        loom_error_print(&err, stderr);
        return 1;
    }
    loom_runtime_close(runtime);
    return 0;
}
PROGRAM
"$VOXLOOM_CC" -std=c11 -Wall -Wextra -Werror -I"$folder/usr/include" "$folder/host.c" -L"$library" -lvoxloom -o "$folder/host"
got=$(LD_LIBRARY_PATH=$library "$folder/host" "$folder/usr/bin/voxloom-worker")
[ "$got" = "six=6.0" ] || { echo "the host program printed: $got"; exit 1; }

# The store, from C and from C++.
cat >"$folder/shelf.c" <<'PROGRAM'
#include <stdio.h>
#include <voxloom/store.h>

int main(int argc, char **argv) {
    loom_shelf_options options = {sizeof(loom_shelf_options), 0, 0, 0, 0, 0, 1, 0};
    loom_error err;
    loom_shelf *shelf = NULL;
    loom_item *item = NULL;
    loom_maker *maker = loom_maker_new();
    unsigned char id[32];
    loom_error_clear(&err);
    options.path = argv[argc - 1];
    if (loom_maker_int(maker, 42) != LOOM_OK || loom_shelf_open(&options, &shelf, &err) != LOOM_OK ||
        loom_shelf_set(shelf, "answer", 6, maker, 0, id, &err) != LOOM_OK || loom_shelf_get(shelf, id, &item, &err) != LOOM_OK) {
        loom_error_print(&err, stderr);
        return 1;
    }
    printf("%d\n", (int)loom_item_int(item));
    loom_item_release(item);
    loom_shelf_close(shelf);
    loom_maker_free(maker);
    return 0;
}
PROGRAM
cp "$folder/shelf.c" "$folder/shelf.cpp"
"$VOXLOOM_CC" -std=c11 -Wall -Wextra -Werror -I"$folder/usr/include" "$folder/shelf.c" -L"$library" -lvoxloom -o "$folder/shelf-c"
"$VOXLOOM_CXX" -std=c++11 -Wall -Wextra -Werror -I"$folder/usr/include" "$folder/shelf.cpp" -L"$library" -lvoxloom -o "$folder/shelf-c++"
for program in shelf-c shelf-c++; do
    got=$(XDG_CONFIG_HOME=/nonexistent LD_LIBRARY_PATH=$library "$folder/$program" "$folder/store")
    [ "$got" = 42 ] || { echo "$program printed: $got"; exit 1; }
done
