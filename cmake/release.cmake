# cmake -C cmake/release.cmake -S . -B build: what users run.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
