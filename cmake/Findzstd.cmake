# zstd, what the store compresses with (io/). CMake has no module for it.
include(Dependency)
loom_dependency(zstd HEADER zstd.h LIBRARY zstd PACKAGE libzstd-dev)
