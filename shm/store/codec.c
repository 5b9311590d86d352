/* codec.c - the one compressor of a process, as its program registered it. */
#include "shm/store/codec.h"

#include <stdatomic.h>

static _Atomic(const loom_compressor *) registered;

void loom_compressor_register(const loom_compressor *zstd) {
    /* Release: who finds the table finds it filled in. */
    atomic_store_explicit(&registered, zstd, memory_order_release);
}

const loom_compressor *loom_compressor_registered(void) {
    return atomic_load_explicit(&registered, memory_order_acquire);
}
