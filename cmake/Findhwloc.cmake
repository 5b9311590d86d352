# hwloc, topology and pinning (runtime/).
include(Dependency)
loom_dependency(hwloc HEADER hwloc.h LIBRARY hwloc PACKAGE libhwloc-dev)
