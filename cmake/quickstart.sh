#!/bin/sh
# quickstart.sh - from a bare Debian 12 to a segmented tumour: installs what is missing, builds, makes a sample volume, runs the
# sample program twice, and draws what it found. Everything it makes stands in build/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/packages.sh"

install_packages $voxloom_packages
say "Building voxloom: a minute or two"
build "$root/build" -C "$root/cmake/release.cmake" -DVOXLOOM_TESTS=OFF

sample=$root/build/sample
voxloom=$root/build/voxloom
program=$root/tests/programs/tumour.imgql
mkdir -p "$sample"
rm -rf "$sample/store"
cd "$sample"

say "A sample volume: a synthetic head with a tumour"
"$voxloom" phantom flair.nii.gz

say "The sample program, $program"
"$voxloom" run "$program" --store store

say "The same again: every result comes from the store"
"$voxloom" run "$program" --store store

"$voxloom" view flair.nii.gz tumour.png --over tumour.nii.gz
cat <<DONE

The segmentation over a slice:  $sample/tumour.png
The segmentation as a volume:   $sample/tumour.nii.gz
The program, to change and run: $program
    cd $sample && $voxloom run $program --store store
DONE
