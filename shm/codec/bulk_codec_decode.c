/* bulk_codec_decode.c - reading encoded objects: a range of bytes, or everything for the sake of the check. Threads
 * take the next block from a counter; the first failure stops the others. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#include "shm/codec/bulk_codec_blocks.h"
#include "shm/codec/bulk_codec_threads.h"

#define BUFFER_BYTES (2 * (size_t)LOOM_BLOCK_BYTES) /* a decrypted frame, a block */

typedef struct decoding {
    loom_blocks blocks;
    atomic_size_t next; /* block, from blocks.first */
    atomic_bool stop;
    uint64_t from, length; /* bytes wanted ... */
    uint8_t *out;          /* ... and where; NULL: every block is only checked, and bad ones are counted */
    pthread_mutex_t lock;  /* of what follows */
    loom_status status;    /* of the first block that failed ... */
    loom_error error;
    size_t failed;       /* ... and its number; SIZE_MAX: it was not a block */
    uint64_t bad_blocks; /* that do not match their hash */
} decoding;

static void note_failure(decoding *job, loom_status status, const loom_error *err, size_t block) {
    pthread_mutex_lock(&job->lock);
    if (job->status == LOOM_OK || block < job->failed) {
        job->status = status;
        job->error = *err;
        job->failed = block;
    }
    if (status == LOOM_CORRUPT) job->bad_blocks++;
    pthread_mutex_unlock(&job->lock);
    if (job->out != NULL || status != LOOM_CORRUPT) atomic_store(&job->stop, true);
}

/* Decodes in place when the whole block is wanted, else beside it. */
static loom_status take_block(decoding *job, size_t block, uint8_t *buffers, loom_error *err) {
    uint64_t begin = (uint64_t)block * LOOM_BLOCK_BYTES;
    size_t length = loom_block_length(job->blocks.result->bulk.bytes, block);
    uint8_t *scratch = buffers, *whole = buffers + LOOM_BLOCK_BYTES;
    if (job->out == NULL) return loom_blocks_read(&job->blocks, block, scratch, whole, err);
    if (begin >= job->from && begin + length <= job->from + job->length)
        return loom_blocks_read(&job->blocks, block, scratch, job->out + (begin - job->from), err);
    LOOM_TRY(loom_blocks_read(&job->blocks, block, scratch, whole, err));
    uint64_t first = begin > job->from ? begin : job->from;
    uint64_t last = begin + length < job->from + job->length ? begin + length : job->from + job->length;
    memcpy(job->out + (first - job->from), whole + (first - begin), (size_t)(last - first));
    return LOOM_OK;
}

static void decode_blocks(void *context) {
    decoding *job = context;
    loom_error err = {0};
    bool secret = loom_codec_encrypts(job->blocks.result->codec);
    uint8_t *buffers = loom_bulk_buffer(BUFFER_BYTES, secret);
    if (buffers == NULL) {
        loom_status status = loom_fail(&err, LOOM_NO_MEMORY, "out of memory while decoding a stored object");
        note_failure(job, status, &err, SIZE_MAX);
        return;
    }
    while (!atomic_load(&job->stop)) {
        size_t taken = atomic_fetch_add(&job->next, 1);
        if (taken >= job->blocks.count) break;
        size_t block = job->blocks.first + taken;
        loom_status status = take_block(job, block, buffers, &err);
        if (status != LOOM_OK) note_failure(job, status, &err, block);
    }
    loom_bulk_buffer_free(buffers, BUFFER_BYTES, secret);
}

static loom_status run(decoding *job, unsigned threads, loom_error *err) {
    pthread_mutex_init(&job->lock, NULL);
    if (threads > job->blocks.count) threads = (unsigned)job->blocks.count;
    loom_bulk_on_threads(threads, false, decode_blocks, job);
    pthread_mutex_destroy(&job->lock);
    if (job->status != LOOM_OK && err != NULL) *err = job->error;
    return job->status;
}

loom_status loom_bulk_decode(loom_extents *extents, const loom_result *result, const loom_cipher *cipher, uint64_t from,
                             uint64_t length, unsigned threads, void *out, loom_error *err) {
    if (from > result->bulk.bytes || length > result->bulk.bytes - from || length > SIZE_MAX / 2)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "bytes %llu to %llu were asked of an object of %llu",
                         (unsigned long long)from, (unsigned long long)(from + length),
                         (unsigned long long)result->bulk.bytes);
    if (length == 0) return LOOM_OK;
    size_t first = (size_t)(from / LOOM_BLOCK_BYTES), last = (size_t)((from + length - 1) / LOOM_BLOCK_BYTES);
    decoding job = {.from = from, .length = length, .out = out};
    loom_status status = loom_blocks_open(extents, result, cipher, first, last - first + 1, &job.blocks, err);
    if (status == LOOM_OK) {
        status = run(&job, threads, err);
        loom_blocks_close(&job.blocks);
    }
    if (status != LOOM_OK) memset(out, 0, (size_t)length);
    return status;
}

static loom_status check_root(const loom_result *result, loom_error *err) {
    size_t count = loom_extent_block_count(result->bulk.bytes);
    XXH128_hash_t root =
        XXH3_128bits_withSeed(result->block_hashes, count * sizeof *result->block_hashes, result->bulk.bytes);
    if (root.low64 == result->root[0] && root.high64 == result->root[1]) return LOOM_OK;
    return loom_fail(err, LOOM_CORRUPT, "the block hashes of the object at %08x:%llu do not match their root",
                     result->bulk.extent, (unsigned long long)result->bulk.offset);
}

loom_status loom_bulk_check(loom_extents *extents, const loom_result *result, const loom_cipher *cipher,
                            unsigned threads, loom_bulk_damage *damage, loom_error *err) {
    if (damage != NULL) *damage = (loom_bulk_damage){0};
    if (result->bulk.bytes == 0) return LOOM_OK;
    decoding job = {.out = NULL};
    LOOM_TRY(
        loom_blocks_open(extents, result, cipher, 0, loom_extent_block_count(result->bulk.bytes), &job.blocks, err));
    loom_status status = check_root(result, err);
    if (status == LOOM_OK) {
        status = run(&job, threads, err);
        if (damage != NULL && status == LOOM_CORRUPT)
            *damage = (loom_bulk_damage){.bad_blocks = job.bad_blocks, .first_bad = job.failed};
    }
    loom_blocks_close(&job.blocks);
    return status;
}
