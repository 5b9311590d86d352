# OpenSSL's libcrypto, SHA-256 (shm/).
include(Dependency)
loom_dependency(libcrypto HEADER openssl/evp.h LIBRARY crypto PACKAGE libssl-dev)
