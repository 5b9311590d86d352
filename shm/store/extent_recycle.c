/* extent_recycle.c - making the space of a gone object ready for another one.
 *
 * A store into a page of a shared map that is not in memory reads the page from the disk first, to overwrite it. So
 * what is not in memory is made zero by the file system, which reads nothing; what is in memory is simply overwritten
 * (perf/ANALYSIS.md has the figures). */
#include "shm/store/extent_recycle.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/platform_file.h"
#include "shm/store/extent_file.h"
#include "shm/store/space.h"

/* Pages are looked at in groups: a call to the file system for each gap between pages in memory costs more than writing
 * a few of these again. */
#define GROUP_BYTES (UINT64_C(256) << 10)
/* One look at this much: the vector is then small. */
#define LOOK_BYTES (UINT64_C(256) << 20)

static bool is_cold(const unsigned char *pages, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((pages[i] & 1) == 0) return true;
    return false;
}

/* Makes zero what is not in memory of [offset, offset + bytes), which the window shows. */
static int zero_cold(int fd, uint64_t offset, uint8_t *window, uint64_t bytes, unsigned char *pages) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin = 0, end = 0;   /* of the cold groups not yet made zero */
    if (loom_memory_resident(window, (size_t)bytes, pages) != 0) return 0; /* not known: overwriting is right too */
    for (uint64_t at = 0; at < bytes; at += GROUP_BYTES) {
        uint64_t length = bytes - at < GROUP_BYTES ? bytes - at : GROUP_BYTES;
        if (!is_cold(pages + at / page, (size_t)((length + page - 1) / page))) continue;
        if (at != end) {
            int failed = end > begin ? loom_file_zero(fd, offset + begin, end - begin) : 0;
            if (failed) return failed;
            begin = at;
        }
        end = at + length;
    }
    return end > begin ? loom_file_zero(fd, offset + begin, end - begin) : 0;
}

static int zero_all_cold(const loom_reservation *reservation, uint64_t bytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (page != LOOM_PAGE_BYTES) return 0; /* the window may begin inside a page that others use */
    unsigned char *pages = malloc((size_t)(LOOK_BYTES / page));
    if (pages == NULL) return 0;
    int failed = 0;
    for (uint64_t at = 0; at < bytes && failed == 0; at += LOOK_BYTES) {
        uint64_t length = bytes - at < LOOK_BYTES ? bytes - at : LOOK_BYTES;
        failed = zero_cold(reservation->fd, reservation->placement.offset + at, (uint8_t *)reservation->window + at,
                           length, pages);
    }
    free(pages);
    return failed;
}

loom_status loom_extent_prepare(const char *path, const loom_reservation *reservation, unsigned how, loom_error *err) {
    const loom_placement *place = &reservation->placement;
    uint64_t bytes = (place->bytes + LOOM_PAGE_BYTES - 1) / LOOM_PAGE_BYTES * LOOM_PAGE_BYTES;
    int failed = 0;
    if (reservation->window != NULL)
        failed = zero_all_cold(reservation, bytes);
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
