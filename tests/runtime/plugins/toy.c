/* toy.c - a plug-in as somebody else would write one, for test_run_plugins.c: nothing of voxloom but its public header.
 *
 * TWICE is what `toy.twice` multiplies by: the same operator in another build. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <voxloom/kernel.h>

#ifndef TWICE
#define TWICE 2
#endif

static loom_status twice(loom_plugin_call *call) {
    call->result.type = LOOM_ITEM_FLOAT;
    call->result.number = TWICE * call->arguments[0].number;
    return LOOM_OK;
}

/* An image of x + 10 y, on a grid of its own. */
static loom_status ramp(loom_plugin_call *call) {
    loom_image_info like = {.size = sizeof like, .dtype = LOOM_PIXEL_F32, .rank = 2, .components = 1};
    void *voxels;
    for (int i = 0; i < 4; i++) {
        like.extent[i] = i < 2 ? (uint64_t)call->arguments[i].number : 1;
        like.spacing[i] = 1;
        like.direction[5 * i] = 1;
    }
    like.spacing[1] = 0.5;
    loom_status status = call->host->new_image(call, &like, &voxels);
    if (status != LOOM_OK) return status;
    for (uint64_t y = 0; y < like.extent[1]; y++)
        for (uint64_t x = 0; x < like.extent[0]; x++)
            ((float *)voxels)[y * like.extent[0] + x] = (float)(x + 10 * y);
    return LOOM_OK;
}

static loom_status blend(loom_plugin_call *call) {
    const loom_image_info *a = call->arguments[0].image, *b = call->arguments[1].image;
    void *voxels;
    if (a->dtype != LOOM_PIXEL_F32 || b->dtype != LOOM_PIXEL_F32)
        return call->host->fail(call, LOOM_BAD_ARGUMENT,
                                "both images must be of float32;\nconvert them with intensity");
    loom_status status = call->host->new_image(call, a, &voxels);
    if (status != LOOM_OK) return status;
    const float *left = a->voxels, *right = b->voxels;
    for (uint64_t i = 0; i < a->bytes / sizeof(float); i++)
        ((float *)voxels)[i] = (left[i] + right[i]) / 2;
    return LOOM_OK;
}

static double sum_of(const loom_image_info *image) {
    double sum = 0;
    for (uint64_t i = 0; i < image->bytes / sizeof(float); i++)
        sum += (double)((const float *)image->voxels)[i];
    return sum;
}

static loom_status sum(loom_plugin_call *call) {
    call->result.type = LOOM_ITEM_FLOAT;
    call->result.number = sum_of(call->arguments[0].image);
    return LOOM_OK;
}

/* The sums of a sequence of images, which come as references. */
static loom_status sums(loom_plugin_call *call) {
    const loom_plugin_value *images = &call->arguments[0];
    loom_plugin_value *items = call->host->memory(call, images->length * sizeof *items);
    if (items == NULL) return LOOM_NO_MEMORY;
    for (uint64_t i = 0; i < images->length; i++) {
        loom_plugin_value image = images->items[i];
        if (image.type == LOOM_ITEM_REFERENCE) {
            loom_status status = call->host->fetch(call, &images->items[i], &image);
            if (status != LOOM_OK) return status;
        }
        if (image.type != LOOM_ITEM_IMAGE) return call->host->fail(call, LOOM_BAD_ARGUMENT, "an item is no image");
        items[i].type = LOOM_ITEM_FLOAT;
        items[i].number = sum_of(image.image);
    }
    call->result.type = LOOM_ITEM_SEQUENCE;
    call->result.items = items;
    call->result.length = images->length;
    return LOOM_OK;
}

/* {"first": its text, "rest": (the others...)}, from any arguments. */
static loom_status parts(loom_plugin_call *call) {
    loom_plugin_value *names = call->host->memory(call, 2 * sizeof *names);
    loom_plugin_value *values = call->host->memory(call, 2 * sizeof *values);
    if (names == NULL || values == NULL) return LOOM_NO_MEMORY;
    names[0].type = names[1].type = LOOM_ITEM_STRING;
    names[0].text = "first";
    names[0].length = 5;
    names[1].text = "rest";
    names[1].length = 4;
    values[0] = call->arguments[0];
    values[1].type = LOOM_ITEM_SEQUENCE;
    values[1].tuple = 1;
    values[1].items = call->arguments + 1;
    values[1].length = call->argument_count - 1;
    call->result.type = LOOM_ITEM_RECORD;
    call->result.names = names;
    call->result.items = values;
    call->result.length = 2;
    return LOOM_OK;
}

/* Each way in which a result can be wrong. */
static loom_status misbehave(loom_plugin_call *call) {
    loom_plugin_value *items = call->host->memory(call, sizeof *items);
    switch (call->arguments[0].integer + (int64_t)call->arguments[0].number * (call->arguments[0].integer == 0)) {
    case 0: /* another type than the signature says */
        call->result.type = LOOM_ITEM_STRING;
        call->result.text = "seven";
        call->result.length = 5;
        return LOOM_OK;
    case 1: /* no such type */
        call->result.type = 99;
        return LOOM_OK;
    case 2: /* a value without end */
        items->type = LOOM_ITEM_SEQUENCE;
        items->items = items;
        items->length = 1;
        call->result = *items;
        return LOOM_OK;
    case 3: /* a failure without a word */
        return LOOM_UNSUPPORTED;
    case 4: /* an image that was not announced */
        call->host->new_image(call, NULL, (void **)&items);
        return LOOM_OK;
    default:
        abort();
    }
}

/* Says that it gives an image, and gives none. */
static loom_status no_image(loom_plugin_call *call) {
    call->result.type = LOOM_ITEM_IMAGE;
    call->result.image = call->arguments[0].image;
    return LOOM_OK;
}

/* Until somebody kills the worker. */
static loom_status forever(loom_plugin_call *call) {
    (void)call;
    while (pause() < 0) {
    }
    return LOOM_OK;
}

static const loom_plugin_kernel kernels[] = {
    {"toy.twice", "n:n", 1, 1, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "a number, doubled", twice},
    {"toy.ramp", "nn:i", 2, 2, LOOM_PLUGIN_NEW_DOMAIN, 1, LOOM_PLUGIN_COST_VOXEL, 0, "x + 10 y", ramp},
    {"toy.blend", "ii:i", 2, 2, LOOM_PLUGIN_SAME_DOMAIN, 1, LOOM_PLUGIN_COST_VOXEL, 0, "the mean of two", blend},
    {"toy.sum", "i:n", 1, 1, LOOM_PLUGIN_SAME_DOMAIN, 1, LOOM_PLUGIN_COST_VOXEL, 0, "the sum of all voxels", sum},
    {"toy.sums", "q:q", 1, 1, 0, 1, LOOM_PLUGIN_COST_VOXEL, 0, "the sums of images", sums},
    {"toy.parts", "v*:r", 1, LOOM_PLUGIN_ANY_ARITY, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "its arguments", parts},
    {"toy.misbehave", "n:n", 1, 1, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "a wrong result", misbehave},
    {"toy.no_image", "i:i", 1, 1, LOOM_PLUGIN_SAME_DOMAIN, 1, LOOM_PLUGIN_COST_VOXEL, 0, "no image", no_image},
    {"toy.forever", "n:n", 1, 1, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "never ends", forever},
};
const loom_plugin voxloom_plugin = LOOM_PLUGIN(kernels);
