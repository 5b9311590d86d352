# libjpeg-turbo, .jpg (io/). CMake's own FindJPEG does not name the Debian package.
include(Dependency)
loom_dependency(libjpeg HEADER jpeglib.h LIBRARY jpeg PACKAGE libjpeg62-turbo-dev)
