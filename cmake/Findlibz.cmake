# zlib, writes .nii.gz (io/). CMake's own FindZLIB does not name the Debian package.
include(Dependency)
loom_dependency(libz HEADER zlib.h LIBRARY z PACKAGE zlib1g-dev)
