# cmake -C cmake/asan.cmake -S . -B build-asan: AddressSanitizer and UndefinedBehaviorSanitizer; any finding ends the program.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
# Lines in reports; half the building time of -O2 -g.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1" CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1" CACHE STRING "")
set(VOXLOOM_SANITIZE address,undefined CACHE STRING "")
set(VOXLOOM_WERROR ON CACHE BOOL "")
