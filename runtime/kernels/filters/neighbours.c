/* neighbours.c - rows around a row: see neighbours.h. */
#include "runtime/kernels/filters/neighbours.h"

#include <string.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/voxels.h"

uint64_t loom_neighbours_bytes(const loom_image_header *header) {
    static const uint64_t places[] = {3, 9, 27};
    return places[header->rank - 2] * (header->size[0] + 2) * sizeof(double);
}

void loom_neighbours_place(const loom_image_header *header, double *rows, loom_neighbours *near) {
    *near = (loom_neighbours){.header = header, .rows = rows};
    memset(near->held, 0xff, sizeof near->held);
}

loom_status loom_neighbours_open(loom_call *call, const loom_image_header *header, loom_neighbours *near) {
    void *memory = NULL;
    LOOM_TRY(loom_scratch(call, loom_neighbours_bytes(header), 1, &memory));
    loom_neighbours_place(header, memory, near);
    return LOOM_OK;
}

void loom_neighbours_move(loom_neighbours *near, uint64_t row) {
    const uint64_t *size = near->header->size;
    near->y = row % size[1];
    near->z = row / size[1] % size[2];
    near->t = row / size[1] / size[2];
}

static uint64_t beside(uint64_t position, int offset, uint64_t size) {
    if (offset < 0) return position > 0 ? position - 1 : 0;
    return offset > 0 && position + 1 < size ? position + 1 : position;
}

const double *loom_neighbours_row(loom_neighbours *near, int dy, int dz, int dt) {
    const uint64_t *size = near->header->size, width = size[0];
    uint64_t y = beside(near->y, dy, size[1]), z = beside(near->z, dz, size[2]), t = beside(near->t, dt, size[3]);
    uint64_t row = (t * size[2] + z) * size[1] + y;
    uint64_t place = near->header->rank == 2   ? y % 3
                     : near->header->rank == 3 ? y % 3 + z % 3 * 3
                                               : y % 3 + z % 3 * 3 + t % 3 * 9;
    double *values = near->rows + place * (width + 2) + 1;
    if (near->held[place] == (int64_t)row) return values;
    near->held[place] = (int64_t)row;
    const uint8_t *source = near->voxels;
    loom_cast(near->dtype, source + row * width * loom_dtype_bytes(near->dtype), LOOM_F64, values, width);
    values[-1] = values[0];
    values[width] = values[width - 1];
    return values;
}
