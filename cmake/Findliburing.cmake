# liburing, asynchronous writes (io/); not needed by a portable build.
include(Dependency)
loom_dependency(liburing HEADER liburing.h LIBRARY uring PACKAGE liburing-dev)
