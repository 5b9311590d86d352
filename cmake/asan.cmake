# cmake -C cmake/asan.cmake -S . -B build-asan: AddressSanitizer and UndefinedBehaviorSanitizer; any finding ends the program.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(VOXLOOM_SANITIZE address,undefined CACHE STRING "")
set(VOXLOOM_WERROR ON CACHE BOOL "")
