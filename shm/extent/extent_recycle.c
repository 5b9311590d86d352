/* extent_recycle.c - making the space of a gone object ready for another one.
 *
 * A store into a page of a shared map that is not in memory reads the page from the disk first, to overwrite it. So
 * what is not in memory is made zero by the file system, which reads nothing; what is in memory is simply overwritten
 * (perf/ANALYSIS.md has the figures). */
#include "shm/extent/extent_recycle.h"

#include <string.h>
#include <unistd.h>

#include "shm/extent/extent_file.h"
#include "shm/extent/space.h"
#include "shm/platform_file.h"

/* What lies together was used together: one page in so many bytes is asked about (asking about each takes as long as
 * writing a quarter of them). A wrong guess costs a read, or writing some pages again. */
#define GROUP_BYTES (UINT64_C(64) << 10)

static bool is_cold(uint8_t *page) {
    unsigned char resident = 1; /* where it cannot be known: overwriting is right in any case */
    (void)loom_memory_resident(page, LOOM_PAGE_BYTES, &resident);
    return (resident & 1) == 0;
}

/* Makes zero what is not in memory of the window. */
static int zero_cold(const loom_reservation *reservation, uint64_t bytes) {
    uint8_t *window = reservation->window;
    uint64_t begin = 0, end = 0;                                      /* of the cold groups not yet made zero */
    if ((uint64_t)sysconf(_SC_PAGESIZE) != LOOM_PAGE_BYTES) return 0; /* others may use a part of its first page */
    for (uint64_t at = 0; at < bytes; at += GROUP_BYTES) {
        if (!is_cold(window + at)) continue;
        if (at != end && end > begin) {
            int failed = loom_file_zero(reservation->fd, reservation->placement.offset + begin, end - begin);
            if (failed) return failed;
        }
        if (at != end || end == 0) begin = at;
        end = bytes - at < GROUP_BYTES ? bytes : at + GROUP_BYTES;
    }
    return end > begin ? loom_file_zero(reservation->fd, reservation->placement.offset + begin, end - begin) : 0;
}

loom_status loom_extent_prepare(const char *path, const loom_reservation *reservation, unsigned how, loom_error *err) {
    const loom_placement *place = &reservation->placement;
    uint64_t bytes = (place->bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    int failed = 0;
    if (reservation->window != NULL)
        failed = zero_cold(reservation, bytes);
    else if (how & LOOM_RESERVE_ZEROED)
        failed = loom_file_zero(reservation->fd, place->offset, bytes);
    if (failed) return loom_fail_errno(err, failed, "cannot prepare extent file %08x of %s", place->extent, path);
    if (reservation->window != NULL && (how & LOOM_RESERVE_ZEROED)) memset(reservation->window, 0, place->bytes);
    return LOOM_OK;
}

void loom_extent_recycle(loom_extents *extents, const loom_placement *placement) {
    loom_lent range = {.extent = placement->extent,
                       .page = placement->offset / LOOM_PAGE_BYTES,
                       .pages = placement->bytes / LOOM_PAGE_BYTES + (placement->bytes % LOOM_PAGE_BYTES != 0)};
    if (placement->bytes == 0) return;
    if (extents->space != NULL) loom_space_give_back(extents->space, &range);
    if (extents->options.dir_fd >= 0 || placement->extent >= extents->options.memory_count) return;
    /* In memory nothing is listed: the memory itself is returned. */
    (void)loom_file_punch(extents->options.memory_fds[placement->extent], placement->offset,
                          range.pages * LOOM_PAGE_BYTES);
}
