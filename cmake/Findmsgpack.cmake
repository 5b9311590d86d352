# msgpack-c, the encoding of values and recipes (shm/).
include(Dependency)
loom_dependency(msgpack HEADER msgpack.h LIBRARY msgpackc msgpack-c PACKAGE libmsgpack-dev)
