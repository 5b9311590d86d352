# toml++, the configuration file, behind runtime/config/toml_shim.cpp (headers only).
include(Dependency)
loom_dependency(tomlplusplus HEADER toml++/toml.h PACKAGE libtomlplusplus-dev)
