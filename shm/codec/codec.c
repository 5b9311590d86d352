/* codec.c - the one compressor of a process, as its program registered it. */
#include "shm/codec/codec.h"

#include <stdatomic.h>

static _Atomic(const loom_compressor *) registered;

void loom_compressor_register(const loom_compressor *zstd) {
    /* Release: who finds the table finds it filled in. */
    atomic_store_explicit(&registered, zstd, memory_order_release);
}

const loom_compressor *loom_compressor_registered(void) {
    return atomic_load_explicit(&registered, memory_order_acquire);
}

loom_status loom_compressor_needed(const loom_compressor **compressor, loom_error *err) {
    *compressor = loom_compressor_registered();
    if (*compressor != NULL) return LOOM_OK;
    return loom_fail(err, LOOM_UNSUPPORTED,
                     "the store holds compressed results and this program has no zstd; call loom_zstd_register first");
}
