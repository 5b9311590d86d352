# cmake -C cmake/portable.cmake -S . -B build-portable: the POSIX twin of every Linux-only file; needs no liburing.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(VOXLOOM_PORTABLE ON CACHE BOOL "")
