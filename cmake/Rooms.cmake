# Common flags, dependencies, and the two functions that every room uses: loom_room and loom_test.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()

find_package(PkgConfig REQUIRED)
foreach(dependency lmdb hwloc liburing libcrypto libxxhash msgpack zlib libpng)
    pkg_check_modules(${dependency} REQUIRED IMPORTED_TARGET ${dependency})
endforeach()

add_library(loom_flags INTERFACE)
target_include_directories(loom_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(loom_flags INTERFACE _GNU_SOURCE $<$<BOOL:${VOXLOOM_PORTABLE}>:VOXLOOM_PORTABLE=1>)
target_compile_options(loom_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wundef -ffp-contract=off
    $<$<BOOL:${VOXLOOM_WERROR}>:-Werror>)
if(VOXLOOM_SANITIZE)
    target_compile_options(loom_flags INTERFACE -fsanitize=${VOXLOOM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(loom_flags INTERFACE -fsanitize=${VOXLOOM_SANITIZE})
endif()

# loom_room(NAME SOURCES ... LIBRARIES ...): one object library per room.
function(loom_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;LIBRARIES" ${ARGN})
    add_library(loom_${name} OBJECT ${ROOM_SOURCES})
    target_link_libraries(loom_${name} PUBLIC loom_flags ${ROOM_LIBRARIES})
endfunction()
