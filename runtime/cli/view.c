/* view.c - `voxloom view`: one slice of a volume as a PNG, with the edge and tint of a mask drawn over it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/volume.h"
#include "runtime/cli/command.h"
#include "runtime/cli/slice.h"

/* A whole image file in memory. */
typedef struct loaded_image {
    loom_image_header header;
    void *voxels;
} loaded_image;

static loom_status load_voxels(loom_volume *volume, const char *path, loaded_image *picture, loom_error *err) {
    picture->header = *loom_volume_header(volume);
    picture->voxels = malloc(loom_image_bytes(&picture->header));
    if (picture->voxels == NULL) return loom_fail(err, LOOM_NO_MEMORY, "out of memory for %s", path);
    const loom_volume_sink sink = {.fd = -1, .memory = picture->voxels};
    return loom_volume_load(volume, &sink, err);
}

static loom_status load(const char *path, loaded_image *picture, loom_error *err) {
    loom_volume *volume = NULL;
    LOOM_TRY(loom_volume_open(path, &volume, err));
    loom_status status = load_voxels(volume, path, picture, err);
    loom_volume_close(volume);
    return status;
}

typedef struct view_request {
    const char *image, *over, *out;
    const char *slice; /* NULL: where the mask is largest, else the middle */
    unsigned axis;
} view_request;

static loom_status choose_slice(const view_request *request, const loaded_image *image, const loaded_image *over,
                                uint64_t *index, loom_error *err) {
    uint64_t depth = image->header.size[request->axis];
    if (request->slice == NULL) {
        *index = over->voxels != NULL ? loom_slice_fullest(&over->header, over->voxels, request->axis) : depth / 2;
        return LOOM_OK;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(request->slice, &end, 10);
    if (request->slice[0] < '0' || request->slice[0] > '9' || *end != '\0' || errno != 0 || value >= depth)
        return loom_fail(err, LOOM_BAD_USAGE, "--slice %s: this axis has slices 0 to %" PRIu64, request->slice,
                         depth - 1);
    *index = value;
    return LOOM_OK;
}

static loom_status check_pair(const view_request *request, const loaded_image *image, const loaded_image *over,
                              loom_error *err) {
    if (image->header.rank == 4 || image->header.components != 1)
        return loom_fail(err, LOOM_BAD_USAGE, "%s: only scalar images of 2 or 3 dimensions can be viewed",
                         request->image);
    if (over->voxels == NULL) return LOOM_OK;
    if (over->header.components != 1)
        return loom_fail(err, LOOM_BAD_USAGE, "%s: a mask has one component", request->over);
    if (memcmp(image->header.size, over->header.size, sizeof image->header.size) == 0) return LOOM_OK;
    return loom_fail(err, LOOM_BAD_DOMAIN, "%s and %s differ in size; a mask covers the image voxel for voxel",
                     request->image, request->over);
}

static loom_status draw(const view_request *request, const loaded_image *image, const loaded_image *over,
                        loom_error *err) {
    uint64_t index = 0;
    LOOM_TRY(check_pair(request, image, over, err));
    LOOM_TRY(choose_slice(request, image, over, &index, err));
    loom_canvas canvas = {0};
    loom_status status = loom_slice_draw(&image->header, image->voxels, over->voxels != NULL ? &over->header : NULL,
                                         over->voxels, request->axis, index, &canvas, err);
    if (status == LOOM_OK) {
        const uint64_t size[2] = {canvas.width, canvas.height};
        loom_image_header header = loom_image_header_make(LOOM_U8, 2, size);
        header.components = 3;
        status = loom_volume_write(request->out, &header, canvas.rgb, err);
    }
    free(canvas.rgb);
    return status;
}

static int view_files(const view_request *request) {
    loom_error err = {0};
    loaded_image image = {.voxels = NULL};
    loaded_image over = {.voxels = NULL};
    loom_status status = load(request->image, &image, &err);
    if (status == LOOM_OK && request->over != NULL) status = load(request->over, &over, &err);
    if (status == LOOM_OK) status = draw(request, &image, &over, &err);
    free(image.voxels);
    free(over.voxels);
    return status == LOOM_OK ? 0 : loom_exit_failed(&err);
}

static int view(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    view_request request = {0};
    const char *axis = "z";
    const loom_option options[] = {{.name = "--over", .value = &request.over},
                                   {.name = "--slice", .value = &request.slice},
                                   {.name = "--axis", .value = &axis}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 2, 2, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) {
        request.image = words.items[0];
        request.out = words.items[1];
        size_t length = strlen(request.out);
        bool axis_known = strlen(axis) == 1 && strchr("xyz", axis[0]) != NULL;
        if (axis_known) request.axis = (unsigned)(axis[0] - 'x');
        if (!axis_known)
            status = loom_exit_usage(self, "--axis %s is none of x, y and z", axis);
        else if (length < 5 || strcmp(request.out + length - 4, ".png") != 0)
            status = loom_exit_usage(self, "%s does not end in .png", request.out);
        else
            status = view_files(&request);
    }
    loom_words_free(&words);
    return status;
}

const loom_command loom_command_view = {
    .name = "view",
    .summary = "Draws a slice of an image as a PNG, a mask over it in red",
    .usage = "voxloom view IMAGE OUT.png [--over MASK] [--axis x|y|z] [--slice K]",
    .help = "Grey values are stretched between the slice's 1st and 99.5th percentile; small slices are enlarged,\n"
            "and voxels that are not cubes keep their proportions. Rows of x and y slices run from the top of the\n"
            "head down.\n\n"
            "  --over MASK   tints where MASK is not 0, and outlines it\n"
            "  --axis        the axis to look along (default z)\n"
            "  --slice K     from 0 (default: where the mask is largest, else the middle)\n",
    .run = view,
};
