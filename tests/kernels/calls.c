/* calls.c - every operator with loops, called with several kinds of images: see calls.h. */
#include "calls.h"

#include <assert.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = CALLS_WIDTH, HEIGHT = CALLS_HEIGHT, ARGUMENTS = 7 };

static const loom_dtype kinds[] = {LOOM_F32, LOOM_I16, LOOM_BOOL8};
static_assert(sizeof kinds / sizeof kinds[0] == CALLS_KINDS, "an image of each kind");

/* Blobs with noise; real pixels also hold both zeros, NaN and infinities here and there. */
static double value_at(uint64_t k, uint64_t random, bool real) {
    double x = (double)(k % WIDTH), y = (double)(k / WIDTH % HEIGHT), z = (double)(k / WIDTH / HEIGHT);
    double wave = sin(x * 0.13) + sin(y * 0.11 + 1) + sin(z * 0.17 + 2);
    if (real && random % 5000 < 6) return (const double[]){0.0, -0.0, NAN, INFINITY, -INFINITY, 1e-30}[random % 5000];
    return wave * 20 + (double)(random % 1000) * (real ? 0.0137 : 0.01);
}

void calls_fill(loom_value image, uint64_t seed) {
    const loom_image_header *header = image.image.header;
    void *voxels = (void *)(uintptr_t)image.image.voxels;
    uint64_t total = loom_image_voxels(header) * header->components;
    for (uint64_t k = 0; k < total; k++) {
        uint64_t random = next_random(&seed);
        double value = value_at(k, random >> 20, header->dtype >= LOOM_F32);
        switch (header->dtype) {
        case LOOM_BOOL8:
            ((uint8_t *)voxels)[k] = value > 10;
            break;
        case LOOM_U8:
            ((uint8_t *)voxels)[k] = (uint8_t)(value < 0 ? 0 : value / 9);
            break;
        case LOOM_I16:
            ((int16_t *)voxels)[k] = (int16_t)value;
            break;
        case LOOM_F32:
            ((float *)voxels)[k] = (float)value;
            break;
        default:
            ((double *)voxels)[k] = value;
        }
    }
}

loom_value calls_make(harness *h, loom_dtype dtype, uint16_t components, uint64_t seed) {
    const uint64_t size[] = {WIDTH, HEIGHT, CALLS_DEPTH};
    loom_value image = make_image(h, dtype, 3, size, components);
    calls_fill(image, seed);
    return image;
}

calls_images calls_make_images(harness *h) {
    calls_images images = {.mask = calls_make(h, LOOM_BOOL8, 1, 12), .colours = calls_make(h, LOOM_F32, 4, 13)};
    for (int kind = 0; kind < CALLS_KINDS; kind++)
        images.of_kind[kind] = calls_make(h, kinds[kind], 1, 11);
    return images;
}

/* Three whole numbers: the size of a box, the index of its first voxel. */
static loom_value triple(harness *h, int64_t x, int64_t y, int64_t z) {
    loom_value *items = loom_arena_array(h->arena, 3, sizeof *items);
    assert_non_null(items);
    items[0] = loom_int(x);
    items[1] = loom_int(y);
    items[2] = loom_int(z);
    return loom_sequence(items, 3);
}

/* What an argument may be: an image of the kind, a mask, numbers. */
static uint32_t choices(harness *h, char letter, uint32_t position, loom_value image, loom_value mask,
                        loom_value *made) {
    switch (letter) {
    case 'q':
        made[0] = position == 1 ? triple(h, CALLS_WIDTH - 9, CALLS_HEIGHT - 1, CALLS_DEPTH - 1) : triple(h, 5, 1, 1);
        return 1;
    case 'i':
        made[0] = image;
        made[1] = mask;
        return 2;
    case 'v':
        made[0] = image;
        made[1] = mask;
        made[2] = loom_float(2.0);
        return 3;
    default:
        made[0] = loom_int(position < 4 ? 8 : 8 * (position - 3)); /* a threshold, a radius, a range, bins */
        return 1;
    }
}

static uint32_t call_all(harness *h, const loom_operator *op, loom_value image, loom_value mask, calls_each *each,
                         void *context) {
    loom_value made[ARGUMENTS][3], arguments[ARGUMENTS];
    uint32_t count = 0, of[ARGUMENTS] = {1, 1, 1}, ran = 0;
    for (const char *letter = op->signature; *letter != ':' && *letter != '*' && count < ARGUMENTS; letter++, count++)
        of[count] = choices(h, *letter, count, image, mask, made[count]);
    if (op->flags & LOOM_OP_OPEN && strchr(op->signature, 'i') > strchr(op->signature, ':')) {
        made[count][0] = image; /* the grid that the runtime passes last */
        count++;
    }
    uint32_t least = op->arity_min > 0 && op->arity_min < count ? op->arity_min : count;
    for (uint32_t a = 0; a < of[0]; a++)
        for (uint32_t b = 0; b < of[1]; b++)
            for (uint32_t c = 0; c < of[2]; c++) {
                const uint32_t chosen[ARGUMENTS] = {a, b, c};
                for (uint32_t k = 0; k < count; k++)
                    arguments[k] = made[k][chosen[k]];
                for (uint32_t used = least; used <= count; used++)
                    ran += each(context, h, op->name, arguments, used);
            }
    return ran;
}

bool calls_fit(const loom_operator *op) {
    return loom_kernel_of(op)->loops != NULL && strcmp(op->name, "default.fold") != 0 &&
           strcmp(op->name, "loom.sweep") != 0 && strcmp(op->name, "loom.fused") != 0 &&
           strncmp(op->name, "geom.", 5) != 0;
}

uint32_t calls_of(harness *h, const calls_images *images, const loom_operator *op, calls_each *each, void *context) {
    uint32_t ran = 0;
    for (int kind = 0; kind < CALLS_KINDS; kind++)
        ran += call_all(h, op, images->of_kind[kind], images->mask, each, context);
    ran += call_all(h, op, images->colours, images->mask, each, context);
    if (ran == 0) fail_msg("%s was never called with what it takes", op->name);
    return ran;
}
