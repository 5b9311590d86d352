# ISA-L, reads .gz (io/). CMake has no module for it.
include(Dependency)
loom_dependency(isal HEADER isa-l/igzip_lib.h LIBRARY isal PACKAGE libisal-dev)
