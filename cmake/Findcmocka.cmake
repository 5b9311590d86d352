# cmocka, unit tests (tests/).
include(Dependency)
loom_dependency(cmocka HEADER cmocka.h LIBRARY cmocka PACKAGE libcmocka-dev)
