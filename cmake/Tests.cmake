# loom_test(NAME SOURCES ... [ROOM room] [LIBRARIES ...] [LABELS ...]): one cmocka program, linked with the static library of its
# room and so with every room below it; hidden symbols are reachable. ROOM is the folder's name where that is a room (shm, io, perf,
# planner), else runtime; "none" links only LIBRARIES, as a host program would. Exit status 77 means "cannot run here" and is reported as skipped.
# loom_test_environment(NAME): what every registered test finds in its environment.
function(loom_test_environment name)
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600
        ENVIRONMENT "VOXLOOM_SHARED=${PROJECT_SOURCE_DIR}/../shared;VOXLOOM_SOURCE=${PROJECT_SOURCE_DIR};VOXLOOM_BUILD=${PROJECT_BINARY_DIR}")
endfunction()

function(loom_test name)
    cmake_parse_arguments(TEST "" "ROOM" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    if(NOT TEST_ROOM)
        cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME TEST_ROOM)
        if(NOT TEST_ROOM MATCHES "^(shm|io|perf|planner)$")
            set(TEST_ROOM runtime)
        endif()
    endif()
    add_executable(test_${name} ${TEST_SOURCES})
    target_link_libraries(test_${name} PRIVATE ${TEST_LIBRARIES} loom_flags loom::cmocka)
    if(NOT TEST_ROOM STREQUAL none)
        target_link_libraries(test_${name} PRIVATE loom_${TEST_ROOM})
    endif()
    add_test(NAME ${name} COMMAND test_${name})
    loom_test_environment(${name})
    set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}")
endfunction()
