/* zstd_codec.c - see zstd_codec.h. Frames carry their content size, no checksum (the store hashes what comes out) and
 * no dictionary; their window is never larger than a block, so a reader needs no more memory than the block itself. A
 * thread keeps its contexts, which cost more to make than a block to compress; they end with the thread. */
#include "io/zstd_codec.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

#include "shm/codec/codec.h"

#define WINDOW_LOG 20 /* a block */

typedef struct thread_contexts {
    ZSTD_CCtx *compress; /* NULL until needed */
    ZSTD_DCtx *expand;
    int level; /* that `compress` is set to; 0 = none */
} thread_contexts;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void free_contexts(void *memory) {
    thread_contexts *contexts = memory;
    ZSTD_freeCCtx(contexts->compress); /* NULL is accepted by both */
    ZSTD_freeDCtx(contexts->expand);
    free(contexts);
}

static void make_key(void) {
    have_key = pthread_key_create(&key, free_contexts) == 0;
}

/* NULL when memory is short. */
static thread_contexts *contexts_of_thread(void) {
    pthread_once(&once, make_key);
    if (!have_key) return NULL;
    thread_contexts *contexts = pthread_getspecific(key);
    if (contexts != NULL) return contexts;
    contexts = calloc(1, sizeof *contexts);
    if (contexts == NULL) return NULL;
    if (pthread_setspecific(key, contexts) != 0) {
        free(contexts);
        return NULL;
    }
    return contexts;
}

static bool set_level(thread_contexts *contexts, int level) {
    if (contexts->compress == NULL) {
        contexts->compress = ZSTD_createCCtx();
        if (contexts->compress == NULL) return false;
        contexts->level = 0;
    }
    if (contexts->level == level) return true;
    ZSTD_CCtx *cctx = contexts->compress;
    contexts->level = 0;
    if (ZSTD_isError(ZSTD_CCtx_reset(cctx, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_windowLog, WINDOW_LOG)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 1)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 0)))
        return false;
    contexts->level = level;
    return true;
}

static size_t compress(void *out, size_t capacity, const void *bytes, size_t length, int level) {
    if (level < 1 || level > LOOM_COMPRESSION_LEVEL_MAX) return 0;
    thread_contexts *contexts = contexts_of_thread();
    if (contexts == NULL || !set_level(contexts, level)) return 0;
    size_t made = ZSTD_compress2(contexts->compress, out, capacity, bytes, length);
    return ZSTD_isError(made) ? 0 : made;
}

/* The sizes are compared first: a frame that claims another content, or bytes behind the frame, cost nothing then. */
static loom_status expand(void *out, size_t length, const void *frame, size_t frame_bytes) {
    if (ZSTD_getFrameContentSize(frame, frame_bytes) != length ||
        ZSTD_findFrameCompressedSize(frame, frame_bytes) != frame_bytes)
        return LOOM_CORRUPT;
    thread_contexts *contexts = contexts_of_thread();
    if (contexts == NULL) return LOOM_NO_MEMORY;
    if (contexts->expand == NULL) {
        contexts->expand = ZSTD_createDCtx();
        if (contexts->expand == NULL) return LOOM_NO_MEMORY;
    }
    /* In one call the output is the window: no buffer is allocated, whatever window the frame asks for. */
    size_t made = ZSTD_decompressDCtx(contexts->expand, out, length, frame, frame_bytes);
    return !ZSTD_isError(made) && made == length ? LOOM_OK : LOOM_CORRUPT;
}

static const loom_compressor zstd = {
    .name = "zstd", .bound = ZSTD_compressBound, .compress = compress, .expand = expand};

void loom_zstd_register(void) {
    loom_compressor_register(&zstd);
}
