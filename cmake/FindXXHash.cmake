# xxHash, checksums of bulk blocks (shm/).
include(Dependency)
loom_dependency(xxhash HEADER xxhash.h LIBRARY xxhash PACKAGE libxxhash-dev)
