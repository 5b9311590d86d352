/* control_marks.c - when each row was last used: 8 bytes a row at the end of `control`, mapped piece by piece as rows
 * are used. A piece is allocated before it is stored to, because a store into a hole of a full disk is SIGBUS. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "shm/control/control_parts.h"
#include "shm/platform_file.h"

#define ROWS_A_PIECE (UINT64_C(1) << 15)
#define PIECE_BYTES (ROWS_A_PIECE * sizeof(uint64_t))
#define PIECES (UINT64_C(1) << 14) /* 2^29 rows; those beyond have no mark */

typedef _Atomic uint64_t mark_word;

struct loom_marks {
    pthread_mutex_t lock; /* of whoever maps a piece */
    bool refused;         /* no space for more: marks are a hint, so it is not tried again */
    mark_word *_Atomic pieces[PIECES];
};

loom_status loom_marks_new(loom_control *control, loom_error *err) {
    control->marks = calloc(1, sizeof *control->marks);
    if (control->marks == NULL)
        return loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening the store %s", control->path);
    pthread_mutex_init(&control->marks->lock, NULL);
    return LOOM_OK;
}

void loom_marks_free(loom_marks *marks) {
    if (marks == NULL) return;
    for (size_t i = 0; i < PIECES; i++) {
        mark_word *piece = atomic_load_explicit(&marks->pieces[i], memory_order_relaxed);
        if (piece != NULL) munmap((void *)(uintptr_t)piece, PIECE_BYTES);
    }
    pthread_mutex_destroy(&marks->lock);
    free(marks);
}

static bool is_there(const loom_control *control, uint64_t end) {
    struct stat now;
    return fstat(control->fd, &now) == 0 && (uint64_t)now.st_size >= end;
}

/* Under the lock. Readers allocate too: whoever stores later into the piece finds it mapped. */
static mark_word *map_piece(const loom_control *control, size_t number) {
    loom_marks *marks = control->marks;
    uint64_t at = LOOM_CONTROL_MARKS_AT + number * PIECE_BYTES;
    mark_word *piece = atomic_load_explicit(&marks->pieces[number], memory_order_relaxed);
    if (piece != NULL || marks->refused || control->fd < 0) return piece;
    if (loom_file_allocate(control->fd, at, PIECE_BYTES) != 0) {
        marks->refused = true;
        return NULL;
    }
    void *map = mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, control->fd, (off_t)at);
    if (map == MAP_FAILED) return NULL;
    atomic_store_explicit(&marks->pieces[number], map, memory_order_release);
    return map;
}

static mark_word *word_of(const loom_control *control, uint64_t row, bool make) {
    if (control->map == NULL || row / ROWS_A_PIECE >= PIECES) return NULL;
    size_t number = (size_t)(row / ROWS_A_PIECE);
    mark_word *piece = atomic_load_explicit(&control->marks->pieces[number], memory_order_acquire);
    if (piece == NULL && (make || is_there(control, LOOM_CONTROL_MARKS_AT + (number + 1) * PIECE_BYTES))) {
        pthread_mutex_lock(&control->marks->lock);
        piece = map_piece(control, number);
        pthread_mutex_unlock(&control->marks->lock);
    }
    return piece != NULL ? &piece[row % ROWS_A_PIECE] : NULL;
}

static uint64_t pack(loom_mark mark) {
    uint64_t word;
    memcpy(&word, &mark, sizeof word);
    return word;
}
_Static_assert(sizeof(loom_mark) == sizeof(uint64_t), "control is a shared format: see shm/SCHEMA.md");

uint32_t loom_control_seconds(const loom_control *control) {
    if (control->map == NULL) return 1;
    struct timespec now;
#ifdef CLOCK_REALTIME_COARSE /* a fifth of the cost, and every look-up pays it */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
    clock_gettime(CLOCK_REALTIME, &now);
#endif
    uint64_t epoch = loom_control_header_of(control)->marks_epoch_s, seconds = (uint64_t)now.tv_sec;
    if (seconds <= epoch) return 1;
    return seconds - epoch < UINT32_MAX ? (uint32_t)(seconds - epoch) : UINT32_MAX;
}

uint64_t loom_control_mark_time(const loom_control *control, uint32_t used_s) {
    return control->map == NULL ? 0 : loom_control_header_of(control)->marks_epoch_s + used_s;
}

/* H = L + cost / size (Cao and Irani 1997). L never falls, so H only rises with later uses. */
static float priority_now(loom_control *control, uint64_t cost_ns, uint64_t bytes) {
    uint32_t bits = atomic_load_explicit(&loom_control_space_of(control)->age, memory_order_relaxed);
    float age;
    memcpy(&age, &bits, sizeof age);
    return age + (float)((double)cost_ns / (double)(bytes != 0 ? bytes : 1));
}

void loom_control_mark(loom_control *control, uint64_t row, uint64_t cost_ns, uint64_t bytes) {
    mark_word *word = word_of(control, row, true);
    if (word == NULL) return;
    uint64_t packed =
        pack((loom_mark){.used_s = loom_control_seconds(control), .priority = priority_now(control, cost_ns, bytes)});
    /* Not stored when nothing changed: hot rows of many processes then share the cache line. */
    if (atomic_load_explicit(word, memory_order_relaxed) != packed)
        atomic_store_explicit(word, packed, memory_order_relaxed);
}

void loom_control_expect_mark(const loom_control *control, uint64_t row) {
    if (control->map == NULL || row / ROWS_A_PIECE >= PIECES) return;
    const mark_word *piece = atomic_load_explicit(&control->marks->pieces[row / ROWS_A_PIECE], memory_order_relaxed);
    if (piece != NULL) __builtin_prefetch((const void *)(uintptr_t)&piece[row % ROWS_A_PIECE], 1);
}

void loom_control_mark_created(loom_control *control, uint64_t row, uint64_t cost_ns, uint64_t bytes,
                               uint64_t created_ns) {
    mark_word *word = word_of(control, row, true);
    if (word == NULL) return;
    uint64_t epoch = loom_control_header_of(control)->marks_epoch_s, seconds = created_ns / 1000000000u, unused = 0;
    uint64_t since = seconds > epoch ? seconds - epoch : 1;
    if (since > loom_control_seconds(control)) since = loom_control_seconds(control);
    uint64_t packed = pack((loom_mark){.used_s = (uint32_t)since, .priority = priority_now(control, cost_ns, bytes)});
    atomic_compare_exchange_strong(word, &unused, packed);
}

void loom_control_copy_mark(loom_control *control, uint64_t from, uint64_t to) {
    const mark_word *source = word_of(control, from, false);
    uint64_t packed = source != NULL ? atomic_load_explicit(source, memory_order_relaxed) : 0;
    mark_word *word = packed != 0 ? word_of(control, to, true) : NULL;
    if (word != NULL) atomic_store_explicit(word, packed, memory_order_relaxed);
}

loom_mark loom_control_get_mark(const loom_control *control, uint64_t row) {
    loom_mark mark = {0};
    mark_word *word = word_of(control, row, false);
    if (word == NULL) return mark;
    uint64_t packed = atomic_load_explicit(word, memory_order_relaxed);
    memcpy(&mark, &packed, sizeof mark);
    if (!(mark.priority >= 0.0f)) mark.priority = 0.0f; /* also NaN: the file may be damaged */
    return mark;
}
