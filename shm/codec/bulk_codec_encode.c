/* bulk_codec_encode.c - raw bytes, or an object that is stored already, into frames behind each other. Each thread
 * takes the next block, makes its frame in memory of its own, and waits for its turn to learn where the frame begins:
 * so the bytes are the same for any number of threads, and nobody holds more than a block. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "shm/codec/bulk_codec_blocks.h"
#include "shm/codec/bulk_codec_threads.h"
#include "shm/platform_file.h"

typedef struct encoding {
    const uint8_t *raw;        /* the object's bytes, or NULL: read from ... */
    const loom_blocks *source; /* ... what is stored */
    uint64_t bytes;
    loom_codec codec;
    int level;
    const loom_compressor *compressor;
    loom_block_cipher *cipher;
    loom_frames_layout layout;
    uint8_t *table; /* codec_data being made */
    loom_reservation reservation;
    uint64_t limit; /* more is not worth it */
    loom_bulk_options options;
    atomic_size_t next;   /* block */
    atomic_bool stop;     /* a hint; `status` under the lock is the truth */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t turned;
    size_t turn; /* the block whose frame is placed next */
    uint64_t at; /* where */
    bool too_large;
    loom_status status;
    loom_error error;
} encoding;

/* Of one thread. Each buffer has room for a block; `frame` for whatever a block can become. */
typedef struct encoder_buffers {
    uint8_t *raw, *scratch, *frame;
    size_t frame_capacity, bytes;
    bool secret;
} encoder_buffers;

static void stop(encoding *job) {
    atomic_store(&job->stop, true);
    pthread_cond_broadcast(&job->turned);
}

static void fail(encoding *job, loom_status status, const loom_error *err) {
    pthread_mutex_lock(&job->lock);
    if (job->status == LOOM_OK) {
        job->status = status;
        job->error = *err;
    }
    stop(job);
    pthread_mutex_unlock(&job->lock);
}

/* Finds the frame of a block: *frame points into the source or into the buffers. An eighth is not worth the time of
 * whoever reads it: then the block itself is the frame. */
static loom_status make_frame(encoding *job, size_t block, encoder_buffers *buffers, const uint8_t **frame,
                              size_t *frame_bytes, loom_error *err) {
    size_t length = loom_block_length(job->bytes, block);
    const uint8_t *bytes = job->raw != NULL ? job->raw + (size_t)block * LOOM_BLOCK_BYTES : buffers->raw;
    if (job->raw == NULL) LOOM_TRY(loom_blocks_read(job->source, block, buffers->scratch, buffers->raw, err));
    *frame = bytes;
    *frame_bytes = length;
    if (job->compressor == NULL) return LOOM_OK;
    size_t made = job->compressor->compress(buffers->frame, buffers->frame_capacity, bytes, length, job->level);
    if (made == 0) return loom_fail(err, LOOM_NO_MEMORY, "zstd could not compress a block; memory is short");
    if (made > length - length / 8 || made >= length) return LOOM_OK;
    *frame = buffers->frame;
    *frame_bytes = made;
    return LOOM_OK;
}

static loom_status encrypt_frame(encoding *job, size_t block, encoder_buffers *buffers, const uint8_t **frame,
                                 size_t frame_bytes, loom_error *err) {
    if (job->cipher == NULL) return LOOM_OK;
    uint8_t *tag = job->table + job->layout.tags + block * LOOM_CIPHER_TAG_BYTES;
    loom_status status = loom_block_encrypt(job->cipher, block, *frame, frame_bytes, buffers->frame, tag);
    if (status != LOOM_OK) return loom_fail(err, status, "cannot encrypt block %zu of a result", block);
    *frame = buffers->frame;
    return LOOM_OK;
}

/* Waits for the turn of `block` and takes `frame_bytes`. False: the work was stopped. */
static bool take_place(encoding *job, size_t block, size_t frame_bytes, uint64_t *place) {
    pthread_mutex_lock(&job->lock);
    while (job->turn != block && !atomic_load(&job->stop))
        pthread_cond_wait(&job->turned, &job->lock);
    bool mine = job->turn == block && !atomic_load(&job->stop);
    const loom_bulk_options *options = &job->options;
    if (mine && options->go_on != NULL &&
        !options->go_on((uint64_t)block * LOOM_BLOCK_BYTES, job->bytes, options->context)) {
        job->status = loom_fail(&job->error, LOOM_CANCELLED, "stopped on request");
        stop(job);
        mine = false;
    }
    if (mine && frame_bytes > job->limit - job->at) {
        job->too_large = true;
        stop(job);
        mine = false;
    }
    if (mine) {
        *place = job->at;
        job->at += frame_bytes;
        job->turn++;
        pthread_cond_broadcast(&job->turned);
    }
    pthread_mutex_unlock(&job->lock);
    return mine;
}

static loom_status write_frame(const encoding *job, uint64_t place, const uint8_t *frame, size_t length,
                               loom_error *err) {
    uint64_t offset = job->reservation.placement.offset + place;
    while (length > 0) {
        ssize_t done = pwrite(job->reservation.fd, frame, length, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0)
            return loom_fail_errno(err, done < 0 ? errno : EIO, "cannot write %zu bytes of extent file %08x", length,
                                   job->reservation.placement.extent);
        frame += done;
        length -= (size_t)done;
        offset += (uint64_t)done;
    }
    return LOOM_OK;
}

static loom_status encode_block(encoding *job, size_t block, encoder_buffers *buffers, loom_error *err) {
    const uint8_t *frame;
    size_t frame_bytes;
    LOOM_TRY(make_frame(job, block, buffers, &frame, &frame_bytes, err));
    LOOM_TRY(encrypt_frame(job, block, buffers, &frame, frame_bytes, err));
    uint64_t place;
    if (!take_place(job, block, frame_bytes, &place)) return LOOM_OK;
    if (loom_codec_compresses(job->codec)) {
        uint32_t length = (uint32_t)frame_bytes;
        memcpy(job->table + job->layout.lengths + block * sizeof length, &length, sizeof length);
    }
    return write_frame(job, place, frame, frame_bytes, err);
}

static loom_status get_buffers(const encoding *job, encoder_buffers *buffers, loom_error *err) {
    size_t block = job->bytes < LOOM_BLOCK_BYTES ? (size_t)job->bytes : LOOM_BLOCK_BYTES;
    buffers->frame_capacity = job->compressor != NULL ? job->compressor->bound(block) : block;
    if (buffers->frame_capacity < block) buffers->frame_capacity = block;
    size_t source = job->raw == NULL ? 2 * (size_t)LOOM_BLOCK_BYTES : 0;
    buffers->bytes = buffers->frame_capacity + source;
    buffers->secret = loom_codec_encrypts(job->codec);
    buffers->frame = loom_bulk_buffer(buffers->bytes, buffers->secret);
    if (buffers->frame == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while encoding a result");
    buffers->raw = buffers->frame + buffers->frame_capacity;
    buffers->scratch = buffers->raw + (source > 0 ? LOOM_BLOCK_BYTES : 0);
    return LOOM_OK;
}

static void encode_blocks(void *context) {
    encoding *job = context;
    loom_error err = {0};
    encoder_buffers buffers = {0};
    loom_status status = get_buffers(job, &buffers, &err);
    while (status == LOOM_OK && !atomic_load(&job->stop)) {
        size_t block = atomic_fetch_add(&job->next, 1);
        if (block >= job->layout.count) break;
        status = encode_block(job, block, &buffers, &err);
    }
    if (status != LOOM_OK) fail(job, status, &err);
    loom_bulk_buffer_free(buffers.frame, buffers.bytes, buffers.secret);
}

/* ---- one object ---- */

static loom_status prepare(encoding *job, const loom_cipher *cipher, loom_arena *arena, loom_error *err) {
    job->layout = loom_frames_layout_of(job->codec, job->bytes);
    job->table = loom_arena_alloc(arena, job->layout.bytes);
    if (job->table == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while encoding a result");
    if (loom_codec_compresses(job->codec)) LOOM_TRY(loom_compressor_needed(&job->compressor, err));
    if (!loom_codec_encrypts(job->codec)) return LOOM_OK;
    if (cipher == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "nothing is encrypted without the store's key");
    int failed = loom_random_bytes(job->table + job->layout.salt, LOOM_CIPHER_SALT_BYTES);
    if (failed != 0) return loom_fail_errno(err, failed, "no random bytes to encrypt with");
    return loom_block_cipher_new(cipher, job->table + job->layout.salt, &job->cipher, err);
}

static loom_status write_object(encoding *job, loom_extent_writer *writer, unsigned threads, loom_error *err) {
    LOOM_TRY(loom_extent_reserve(writer, job->limit, false, &job->reservation, err));
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->turned, NULL);
    if (threads > job->layout.count) threads = (unsigned)job->layout.count;
    loom_bulk_on_threads(threads, job->options.idle, encode_blocks, job);
    pthread_cond_destroy(&job->turned);
    pthread_mutex_destroy(&job->lock);
    loom_status status = job->status;
    if (status != LOOM_OK && err != NULL) *err = job->error;
    if (status == LOOM_OK && !job->too_large) {
        job->reservation.placement.bytes = job->at;
        return loom_extent_seal(writer, &job->reservation, NULL, NULL, err);
    }
    loom_extent_abandon(writer, &job->reservation);
    return status;
}

/* *fits = false: compression would not save enough. */
static loom_status encode(encoding *job, const loom_cipher *cipher, loom_extent_writer *writer, unsigned threads,
                          loom_arena *arena, loom_result *result, bool *fits, loom_error *err) {
    job->bytes = result->bulk.bytes;
    job->limit = loom_codec_compresses(job->codec) ? loom_frames_worth(job->bytes) : job->bytes;
    *fits = false;
    if (job->limit == 0) return LOOM_OK;
    loom_status status = prepare(job, cipher, arena, err);
    if (status == LOOM_OK) status = write_object(job, writer, threads, err);
    loom_block_cipher_free(job->cipher);
    if (status != LOOM_OK || job->too_large) return status;
    *fits = true;
    result->bulk.extent = job->reservation.placement.extent;
    result->bulk.offset = job->reservation.placement.offset;
    result->codec = job->codec;
    result->stored_bytes = job->at;
    result->codec_data = job->layout.bytes > 0 ? job->table : NULL;
    result->codec_data_bytes = job->layout.bytes;
    return LOOM_OK;
}

static loom_status check_encoding(loom_codec codec, int level, const loom_result *result, loom_error *err) {
    if ((unsigned)codec > LOOM_CODEC_ZSTD_AES || result->bulk.bytes == 0)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "an object of %llu bytes cannot be stored with codec %u",
                         (unsigned long long)result->bulk.bytes, (unsigned)codec);
    if (loom_codec_compresses(codec) && (level < 1 || level > LOOM_COMPRESSION_LEVEL_MAX))
        return loom_fail(err, LOOM_BAD_ARGUMENT, "compression level %d; 1 to %d are allowed", level,
                         LOOM_COMPRESSION_LEVEL_MAX);
    return LOOM_OK;
}

loom_status loom_bulk_encode(const void *raw, loom_codec codec, int level, const loom_cipher *cipher,
                             loom_extent_writer *writer, unsigned threads, loom_arena *arena, loom_result *result,
                             loom_error *err) {
    LOOM_TRY(check_encoding(codec, level, result, err));
    bool fits = false;
    encoding job = {.raw = raw, .codec = codec, .level = level};
    LOOM_TRY(encode(&job, cipher, writer, threads, arena, result, &fits, err));
    if (fits) return LOOM_OK;
    encoding plain = {.raw = raw, .codec = loom_codec_encrypts(codec) ? LOOM_CODEC_AES : LOOM_CODEC_RAW};
    return encode(&plain, cipher, writer, threads, arena, result, &fits, err);
}

loom_status loom_bulk_compress(loom_extents *extents, loom_codec codec, int level, const loom_cipher *cipher,
                               loom_extent_writer *writer, const loom_bulk_options *options, loom_arena *arena,
                               loom_result *result, bool *smaller, loom_error *err) {
    *smaller = false;
    LOOM_TRY(check_encoding(codec, level, result, err));
    if (!loom_codec_compresses(codec)) return loom_fail(err, LOOM_BAD_ARGUMENT, "codec %u does not compress", codec);
    loom_blocks source;
    loom_result from = *result;
    LOOM_TRY(loom_blocks_open(extents, &from, cipher, 0, loom_extent_block_count(from.bulk.bytes), &source, err));
    encoding job = {.source = &source, .codec = codec, .level = level, .options = *options};
    loom_status status = encode(&job, cipher, writer, options->threads, arena, result, smaller, err);
    loom_blocks_close(&source);
    return status;
}
