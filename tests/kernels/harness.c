/* harness.c - kernels without a worker: see harness.h. */
#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/kernels/base/parts.h"

static void *keep(struct block **list, void *bytes, size_t mapped) {
    struct block *block = malloc(sizeof *block);
    if (block == NULL) abort();
    *block = (struct block){.bytes = bytes, .mapped = mapped, .next = *list};
    *list = block;
    return bytes;
}

static void release(struct block **list) {
    while (*list != NULL) {
        struct block *block = *list;
        *list = block->next;
        if (block->mapped != 0)
            munmap(block->bytes, block->mapped);
        else
            free(block->bytes);
        free(block);
    }
}

void harness_drop(harness *h, const void *voxels) {
    for (struct block **at = &h->blocks; *at != NULL; at = &(*at)->next)
        if ((*at)->bytes == voxels) {
            struct block *block = *at;
            *at = block->next;
            block->next = NULL;
            release(&block);
            return;
        }
}

static loom_status check_header(loom_call *call, const loom_image_header *header, loom_image_header **copy) {
    LOOM_TRY(loom_image_header_check(header, call->err));
    *copy = loom_arena_copy(call->arena, header, sizeof *header);
    return *copy == NULL ? LOOM_NO_MEMORY : LOOM_OK;
}

static loom_status new_image(loom_call *call, const loom_image_header *header, void **voxels) {
    harness *h = call->context;
    loom_image_header *copy = NULL;
    LOOM_TRY(check_header(call, header, &copy));
    *voxels = calloc(1, loom_image_bytes(header));
    if (*voxels == NULL) return LOOM_NO_MEMORY;
    keep(&h->blocks, *voxels, 0);
    call->result = loom_image(copy, *voxels);
    return LOOM_OK;
}

static loom_status new_stream(loom_call *call, const loom_image_header *header, int *fd, uint64_t *offset) {
    harness *h = call->context;
    loom_image_header *copy = NULL;
    LOOM_TRY(check_header(call, header, &copy));
    int memory = memfd_create("stream", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, (off_t)loom_image_bytes(header) + 4096) != 0) return LOOM_IO;
    h->stream_fd = *fd = memory;
    *offset = 4096;
    h->streaming = true;
    call->result = loom_image(copy, NULL);
    return LOOM_OK;
}

static void *scratch(loom_call *call, size_t bytes) {
    harness *h = call->context;
    void *memory = malloc(bytes);
    if (memory == NULL) return NULL;
    memset(memory, 0xA5, bytes);
    h->scratch_bytes += bytes;
    return keep(&h->scratch, memory, 0);
}

static loom_status fetch(loom_call *call, const loom_value *reference, loom_value *value) {
    harness *h = call->context;
    size_t item = reference->reference.vid.bytes[0];
    if (item >= h->pool_count) return loom_fail(call->err, LOOM_NOT_FOUND, "no such item");
    *value = h->pool[item];
    return LOOM_OK;
}

static const loom_call_services services = {
    .new_image = new_image, .new_stream = new_stream, .scratch = scratch, .fetch = fetch};

/* ---- the same with loops in parts, as several workers would do them ---- */

static loom_status run_shuffled(loom_call *call, const loom_parts *parts) {
    harness *h = call->context;
    void *local[HARNESS_LANES] = {NULL}, *voxels = NULL;
    uint32_t *order = loom_arena_array(h->arena, parts->count, sizeof *order);
    if (order == NULL) return LOOM_NO_MEMORY;
    for (uint32_t k = 0; k < parts->count; k++) {
        uint32_t other = (uint32_t)(next_random(&h->shuffle) % (k + 1));
        order[k] = order[other];
        order[other] = k;
    }
    if (call->result.type == LOOM_IMAGE) voxels = (void *)(uintptr_t)call->result.image.voxels;
    for (uint32_t k = 0; k < parts->count; k++, h->parts++) {
        uint32_t lane = (uint32_t)(next_random(&h->shuffle) % HARNESS_LANES);
        /* Other processes have a copy of the state, not the kernel's own. */
        loom_parts theirs = *parts;
        if (parts->state_bytes > 0) theirs.state = loom_arena_copy(h->arena, parts->state, parts->state_bytes);
        LOOM_TRY(loom_run_part(call, &theirs, order[k], lane, voxels, &local[lane]));
    }
    return LOOM_OK;
}

static void *share(loom_call *call, unsigned number, size_t bytes) {
    harness *h = call->context;
    (void)number;
    void *memory = calloc(1, bytes);
    return memory == NULL ? NULL : keep(&h->scratch, memory, 0);
}

static uint32_t lanes(loom_call *call) {
    (void)call;
    return HARNESS_LANES;
}

static const loom_call_services services_in_parts = {.new_image = new_image,
                                                     .new_stream = new_stream,
                                                     .scratch = scratch,
                                                     .fetch = fetch,
                                                     .run_parts = run_shuffled,
                                                     .share = share,
                                                     .lanes = lanes};

harness *harness_new(void) {
    harness *h = calloc(1, sizeof *h);
    if (h == NULL) abort();
    h->arena = loom_arena_new();
    loom_status status = loom_ring_open(LOOM_RING_POSIX, 4, &h->ring, NULL, &h->err);
    if (h->arena == NULL || status != LOOM_OK) abort();
    return h;
}

void harness_free(harness *h) {
    release(&h->blocks);
    release(&h->scratch);
    loom_ring_close(h->ring);
    loom_arena_free(h->arena);
    free(h);
}

/* Maps what was streamed, so that the result is an image like any other. */
static loom_status finish_stream(harness *h, loom_value *result) {
    size_t bytes = loom_image_bytes(result->image.header) + 4096;
    char *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, h->stream_fd, 0);
    close(h->stream_fd);
    h->streaming = false;
    if (map == MAP_FAILED) return LOOM_IO;
    keep(&h->blocks, map, bytes);
    result->image.voxels = map + 4096;
    return LOOM_OK;
}

loom_status harness_run(harness *h, const char *name, const loom_value *arguments, uint32_t count,
                        const loom_value *attributes, loom_value *result) {
    const loom_operator *op = loom_operator_find(loom_operators(), name, strlen(name));
    if (op == NULL) return loom_fail(&h->err, LOOM_NOT_FOUND, "no operator %s", name);
    const loom_kernel *kernel = loom_kernel_of(op);
    if (kernel->run == NULL) return loom_fail(&h->err, LOOM_UNSUPPORTED, "%s has no native kernel", name);
    loom_error_clear(&h->err);
    h->scratch_bytes = 0;
    loom_call call = {.op = op,
                      .arguments = arguments,
                      .argument_count = count,
                      .attributes = attributes,
                      .services = h->shuffle == 0 ? &services : &services_in_parts,
                      .context = h,
                      .arena = h->arena,
                      .ring = h->ring,
                      .err = &h->err,
                      .result = loom_null()};
    loom_status status = kernel->run(&call);
    release(&h->scratch);
    if (h->streaming) {
        loom_status mapped = finish_stream(h, &call.result);
        if (status == LOOM_OK) status = mapped;
    }
    *result = call.result;
    return status;
}

loom_value run(harness *h, const char *name, uint32_t count, const loom_value *arguments) {
    loom_value result = loom_null();
    loom_status status = harness_run(h, name, arguments, count, NULL, &result);
    if (status != LOOM_OK) fail_msg("%s: %s: %s", name, loom_status_name(status), h->err.message);
    return result;
}

loom_value make_image(harness *h, loom_dtype dtype, unsigned rank, const uint64_t size[], uint16_t components) {
    loom_image_header header = loom_image_header_make(dtype, rank, size);
    header.components = components;
    loom_image_header *copy = loom_arena_copy(h->arena, &header, sizeof header);
    void *voxels = calloc(1, loom_image_bytes(&header));
    if (copy == NULL || voxels == NULL) abort();
    keep(&h->blocks, voxels, 0);
    return loom_image(copy, voxels);
}

const char *shared_path(harness *h, const char *name) {
    const char *shared = getenv("VOXLOOM_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", shared == NULL ? "" : shared, name);
    if (shared == NULL || access(path, R_OK) != 0) {
        print_message("no %s: set VOXLOOM_SHARED to the folder of recorded data; skipped\n", path);
        skip();
    }
    return loom_arena_text(h->arena, path, strlen(path));
}

const char *read_text(harness *h, const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = loom_arena_alloc(h->arena, (size_t)size + 1);
    if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) fail_msg("cannot read %s", path);
    fclose(file);
    *length = (size_t)size;
    return text;
}

uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}
