# What every room shares: the language, the warnings, and loom_room.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, RelWithDebInfo or Debug" FORCE)
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# -ffp-contract=off: a fused multiply-add would make results depend on the CPU (DESIGN.md, section 4).
add_library(loom_flags INTERFACE)
target_include_directories(loom_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include)
target_compile_definitions(loom_flags INTERFACE _GNU_SOURCE $<$<BOOL:${VOXLOOM_PORTABLE}>:VOXLOOM_PORTABLE=1>)
target_compile_options(loom_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wundef -ffp-contract=off
    $<$<BOOL:${VOXLOOM_WERROR}>:-Werror>)
target_link_libraries(loom_flags INTERFACE Threads::Threads m)
if(VOXLOOM_SANITIZE)
    target_compile_options(loom_flags INTERFACE -fsanitize=${VOXLOOM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(loom_flags INTERFACE -fsanitize=${VOXLOOM_SANITIZE})
endif()
if(VOXLOOM_FUZZERS)
    # libFuzzer's coverage hooks live in a sanitizer's runtime; without one the replay programs would not link.
    if(NOT VOXLOOM_SANITIZE)
        message(FATAL_ERROR "VOXLOOM_FUZZERS needs a sanitizer: add -DVOXLOOM_SANITIZE=address,undefined")
    endif()
    target_compile_options(loom_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Files that come as twins: x_${platform}.c
if(VOXLOOM_PORTABLE)
    set(platform posix)
else()
    set(platform linux)
endif()

# loom_room(NAME SOURCES ... LIBRARIES ...): one static library per room, loom_NAME. LIBRARIES are the rooms below and the
# dependencies (loom::lmdb ...); a user of the room gets them too.
function(loom_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;LIBRARIES" ${ARGN})
    if(NOT ROOM_SOURCES)
        set(ROOM_SOURCES ${PROJECT_SOURCE_DIR}/cmake/empty.c)
    endif()
    add_library(loom_${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(loom_${name} PUBLIC loom_flags ${ROOM_LIBRARIES})
endfunction()
