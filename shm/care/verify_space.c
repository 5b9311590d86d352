/* verify_space.c - every page of every extent file has one owner: a live row, an entry of `deleted` or `free`, or
 * nobody (lent to a writer, or left by one that died). What the index says of each file in sums is compared with that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/care/verify_parts.h"
#include "shm/extent/extent_file.h"

static verify_span *spans_of(const verify *of) {
    return (verify_span *)(void *)of->spans.items;
}

static verify_file *files_of(const verify *of) {
    return (verify_file *)(void *)of->files.items;
}

static int compare_spans(const void *a, const void *b) {
    const verify_span *x = a, *y = b;
    if (x->extent != y->extent) return x->extent < y->extent ? -1 : 1;
    return (x->page > y->page) - (x->page < y->page);
}

static int compare_files(const void *a, const void *b) {
    const verify_file *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static void sort_files(verify *of) {
    if (of->files.count > 1) qsort(of->files.items, of->files.count, sizeof(verify_file), compare_files);
}

static verify_file *find_file(const verify *of, size_t count, uint32_t number) {
    if (count == 0) return NULL;
    return bsearch(&(verify_file){.number = number}, of->files.items, count, sizeof(verify_file), compare_files);
}

/* ---- the files that are there ---- */

static bool has_our_header(const verify *of, int fd, uint32_t number) {
    loom_extent_header header;
    return pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header && header.magic == LOOM_EXTENT_MAGIC &&
           header.version == LOOM_EXTENT_VERSION && header.number == number &&
           memcmp(header.uuid, of->parts.uuid, sizeof header.uuid) == 0;
}

static loom_status look_at_file(const verify *of, verify_file *file, loom_error *err) {
    char name[LOOM_EXTENT_NAME_BYTES];
    struct stat now;
    loom_extent_name(file->number, name);
    int fd = openat(of->parts.extents_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT && errno != ELOOP)
        return loom_fail_errno(err, errno, "cannot open extent file %s to verify it", name);
    if (fd < 0) return LOOM_OK; /* damage, not an error */
    if (fstat(fd, &now) == 0 && S_ISREG(now.st_mode)) {
        file->present = true;
        file->bytes = (uint64_t)now.st_size;
        file->sound = has_our_header(of, fd, file->number);
    }
    close(fd);
    return LOOM_OK;
}

/* Adds the files that the index does not know. `known` of them are sorted. */
static loom_status list_files(verify *of, size_t known, loom_error *err) {
    int copy = openat(of->parts.extents_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        int failed = errno;
        if (copy >= 0) close(copy);
        return loom_fail_errno(err, failed, "cannot list the extent files of %s", of->store->path);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        unsigned number;
        char again[LOOM_EXTENT_NAME_BYTES];
        if (sscanf(entry->d_name, "%8x.ext", &number) != 1) continue;
        loom_extent_name(number, again);
        if (strcmp(again, entry->d_name) != 0 || find_file(of, known, number) != NULL) continue;
        verify_file *file = loom_verify_add(of, &of->files, sizeof *file);
        if (file != NULL) *file = (verify_file){.number = number};
    }
    closedir(dir);
    return LOOM_OK;
}

static void add_named(verify *of) {
    const verify_span *spans = spans_of(of);
    sort_files(of);
    size_t known = of->files.count;
    for (size_t i = 0; i < of->spans.count && !of->exhausted; i++) {
        if ((i > 0 && spans[i].extent == spans[i - 1].extent) || find_file(of, known, spans[i].extent) != NULL)
            continue;
        verify_file *file = loom_verify_add(of, &of->files, sizeof *file);
        if (file != NULL) *file = (verify_file){.number = spans[i].extent};
    }
    sort_files(of);
}

/* ---- owners ---- */

static void note_span(verify *of, const verify_span *span, loom_finding_kind kind, verify_remedy remedy,
                      const char *what) {
    verify_note *note = loom_verify_note(of, kind, remedy, what);
    if (note == NULL) return;
    note->row = span->row;
    note->at = (loom_placement){.extent = span->extent,
                                .offset = span->page * LOOM_PAGE_BYTES,
                                .bytes = (span->end - span->page) * LOOM_PAGE_BYTES};
}

/* Two rows in one place: their block hashes say which of them is right, if any. A table that errs is mended. */
static void check_overlap(verify *of, const verify_span *before, const verify_span *span) {
    static const char rows[] = "two results in one place", table[] = "a range that a result has and a table gives away";
    bool both = before->owner == VERIFY_LIVE && span->owner == VERIFY_LIVE;
    verify_remedy remedy = !both ? VERIFY_REBUILD : of->options->index_only ? VERIFY_NOTHING : VERIFY_TOMBSTONE;
    note_span(of, span->owner == VERIFY_LIVE ? span : before, LOOM_FINDING_OVERLAP, remedy, both ? rows : table);
    verify_note *notes = (verify_note *)(void *)of->notes.items;
    if (both && !of->exhausted) notes[of->notes.count - 1].number = before->row;
    of->dirty = true;
}

static void add_pages(verify_file *file, const verify_span *span, uint64_t reached) {
    uint64_t from = span->page > reached ? span->page : reached;
    uint64_t pages = span->end > from ? span->end - from : 0; /* shared pages are counted once */
    if (span->owner == VERIFY_LIVE) file->real.live += pages;
    if (span->owner == VERIFY_DELETED) file->real.deleted += pages;
    if (span->owner == VERIFY_FREE) file->real.free += pages;
    if (span->end > file->real.tail) file->real.tail = span->end;
}

static void check_place(verify *of, const verify_file *file, const verify_span *span) {
    if (span->owner != VERIFY_LIVE) return;
    if (!file->present)
        note_span(of, span, LOOM_FINDING_PLACE, VERIFY_TOMBSTONE, "a result whose extent file is missing");
    else if (span->end > file->bytes / LOOM_PAGE_BYTES + (file->bytes % LOOM_PAGE_BYTES != 0))
        note_span(of, span, LOOM_FINDING_PLACE, VERIFY_TOMBSTONE, "a result outside its extent file");
    else if (span->page == 0)
        note_span(of, span, LOOM_FINDING_PLACE, VERIFY_TOMBSTONE, "a result in the header of an extent file");
}

static void check_spans(verify *of) {
    const verify_span *spans = spans_of(of), *furthest = NULL;
    verify_file *file = NULL;
    uint64_t reached = 0;
    for (size_t i = 0; i < of->spans.count && !of->exhausted; i++) {
        const verify_span *span = &spans[i];
        if (file == NULL || file->number != span->extent) {
            file = find_file(of, of->files.count, span->extent);
            reached = 0;
            furthest = NULL;
        }
        if (file == NULL) continue; /* cannot be: add_named saw to it */
        if (furthest != NULL && span->page < reached) check_overlap(of, furthest, span);
        check_place(of, file, span);
        add_pages(file, span, reached);
        if (span->end > reached) {
            reached = span->end;
            furthest = span;
        }
    }
}

/* ---- sums ---- */

static void check_record(verify *of, const verify_file *file) {
    const loom_space_record *said = &file->record, *real = &file->real;
    uint64_t owned = real->live + real->deleted + real->free;
    bool right = said->live == real->live && said->deleted == real->deleted && said->free == real->free &&
                 said->tail >= real->tail && (said->tail == 0 || said->tail > owned);
    if (right || (!file->recorded && owned == 0)) return;
    verify_note *note =
        loom_verify_note(of, LOOM_FINDING_COUNT, VERIFY_REBUILD, "the sums of an extent file are wrong");
    if (note != NULL) note->at = (loom_placement){.extent = file->number, .bytes = LOOM_PAGE_BYTES};
    of->dirty = true;
}

static void add_up(verify *of, const verify_file *file) {
    loom_verify_report *report = of->report;
    if (!file->present) return;
    uint64_t header = file->bytes < LOOM_PAGE_BYTES ? file->bytes : LOOM_PAGE_BYTES;
    uint64_t owned = header + (file->real.live + file->real.deleted + file->real.free) * LOOM_PAGE_BYTES;
    report->header_bytes += header;
    report->live_bytes += file->real.live * LOOM_PAGE_BYTES;
    report->deleted_bytes += file->real.deleted * LOOM_PAGE_BYTES;
    report->free_bytes += file->real.free * LOOM_PAGE_BYTES;
    if (file->bytes > owned) report->unowned_bytes += file->bytes - owned;
}

/* A power failure may take a file's end, or all of it; rows that lay there are findings of their own. */
static void check_whole(verify *of, const verify_file *file) {
    uint64_t tail = file->recorded ? file->record.tail : 0;
    bool is_short = tail > 1 && tail <= INT64_MAX / LOOM_PAGE_BYTES && file->bytes < tail * LOOM_PAGE_BYTES;
    bool is_strange = file->present && !file->sound && file->real.live > 0; /* a writer mends one without results */
    if (!is_short && !is_strange) return;
    verify_note *note = loom_verify_note(of, LOOM_FINDING_PLACE, VERIFY_FILE,
                                         is_short ? "an extent file that is shorter than the index says, or missing"
                                                  : "an extent file whose header is damaged");
    if (note != NULL) note->at = (loom_placement){.extent = file->number, .bytes = LOOM_PAGE_BYTES};
}

loom_status loom_verify_space(verify *of, loom_error *err) {
    if (of->spans.count > 1) qsort(of->spans.items, of->spans.count, sizeof(verify_span), compare_spans);
    add_named(of);
    LOOM_TRY(list_files(of, of->files.count, err));
    sort_files(of);
    verify_file *files = files_of(of);
    for (size_t i = 0; i < of->files.count; i++)
        LOOM_TRY(look_at_file(of, &files[i], err));
    check_spans(of);
    for (size_t i = 0; i < of->files.count; i++) {
        check_whole(of, &files[i]);
        check_record(of, &files[i]);
        add_up(of, &files[i]);
    }
    return LOOM_OK;
}
