# LMDB, the store's index (shm/).
include(Dependency)
loom_dependency(lmdb HEADER lmdb.h LIBRARY lmdb PACKAGE liblmdb-dev)
