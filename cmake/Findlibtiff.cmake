# libtiff, reads .tif (io/). CMake's own FindTIFF does not name the Debian package.
include(Dependency)
loom_dependency(libtiff HEADER tiffio.h LIBRARY tiff PACKAGE libtiff-dev)
