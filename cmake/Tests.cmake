# loom_test(NAME SOURCES ... [LIBRARIES ...] [LABELS ...]): one cmocka program, linked with every room's objects, so that hidden symbols
# are reachable. Exit status 77 means "cannot run here" and is reported as skipped.
find_package(PkgConfig REQUIRED)
pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)

function(loom_test name)
    cmake_parse_arguments(TEST "" "" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    add_executable(test_${name} ${TEST_SOURCES})
    target_link_libraries(test_${name} PRIVATE loom_flags loom_all PkgConfig::cmocka ${TEST_LIBRARIES})
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS "${TEST_LABELS}"
        ENVIRONMENT "VOXLOOM_SHARED=${PROJECT_SOURCE_DIR}/../shared;VOXLOOM_SOURCE=${PROJECT_SOURCE_DIR};VOXLOOM_BUILD=${PROJECT_BINARY_DIR}")
endfunction()
