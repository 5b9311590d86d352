# cmake -C cmake/debug.cmake -S . -B build-debug: for a debugger; warnings are errors.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(VOXLOOM_WERROR ON CACHE BOOL "")
