# libpng, .png (io/). CMake's own FindPNG does not name the Debian package.
include(Dependency)
loom_dependency(libpng HEADER png.h LIBRARY png png16 PACKAGE libpng-dev)
