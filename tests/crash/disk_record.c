/* disk_record.c - see disk_record.h. */
#include "disk_record.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_model.h"
#include "faults.h"

#define SECTOR 512u
#define NODES_MAX 64u
#define ENTRIES_MAX 32u

/* A file or folder; known by its inode, because names change. */
typedef struct entry {
    char name[64];
    unsigned node;
} entry;

typedef struct content {
    uint8_t *bytes; /* whole sectors, zero behind the size */
    size_t size, capacity;
    entry entries[ENTRIES_MAX]; /* of a folder */
    unsigned count;
} content;

typedef struct node {
    ino_t inode;
    bool folder;
    content now, durable;
} node;

typedef struct change {
    uint32_t node, sector;
    uint8_t bytes[SECTOR];
} change;

/* One moment: what differs from the one before it, and what is made durable right after it. */
typedef struct moment {
    change *changes;
    size_t change_count, change_capacity;
    size_t sizes[NODES_MAX];
    struct {
        unsigned node, count;
        entry *entries;
    } folders[8];
    unsigned folder_count;
    int synced;       /* node; -1: none */
    uint8_t *written; /* a write that is durable at once */
    size_t written_bytes;
    uint64_t written_at;
    unsigned mark;
} moment;

struct disk_record {
    char folder[256];
    node nodes[NODES_MAX];
    unsigned node_count;
    moment *moments;
    size_t count, capacity;
    unsigned mark;
    size_t played; /* moments that have been played */
};

static disk_record *recording;

static void *need(void *memory) {
    if (memory == NULL) abort();
    return memory;
}

static void hold_bytes(content *of, size_t size) {
    size_t whole = (size + SECTOR - 1) / SECTOR * SECTOR;
    if (whole <= of->capacity) return;
    of->bytes = need(realloc(of->bytes, whole));
    memset(of->bytes + of->capacity, 0, whole - of->capacity);
    of->capacity = whole;
}

/* ---- recording ---- */

static unsigned node_of(disk_record *of, const struct stat *facts) {
    for (unsigned i = 0; i < of->node_count; i++)
        if (of->nodes[i].inode == facts->st_ino) return i;
    if (of->node_count == NODES_MAX) abort();
    of->nodes[of->node_count] = (node){.inode = facts->st_ino, .folder = S_ISDIR(facts->st_mode)};
    return of->node_count++;
}

static void note_change(moment *at, unsigned number, size_t sector, const uint8_t *bytes) {
    if (at->change_count == at->change_capacity) {
        at->change_capacity = at->change_capacity == 0 ? 64 : 2 * at->change_capacity;
        at->changes = need(realloc(at->changes, at->change_capacity * sizeof *at->changes));
    }
    change *made = &at->changes[at->change_count++];
    *made = (change){.node = number, .sector = (uint32_t)sector};
    memcpy(made->bytes, bytes, SECTOR);
}

/* Sectors behind the file's end count as zeros. */
static void record_file(disk_record *of, moment *at, unsigned number, int fd) {
    static uint8_t buffer[1 << 16];
    content *known = &of->nodes[number].now;
    struct stat facts;
    if (fstat(fd, &facts) != 0) abort();
    size_t size = (size_t)facts.st_size, upto = size > known->size ? size : known->size;
    hold_bytes(known, upto);
    for (size_t begin = 0; begin < upto; begin += sizeof buffer) {
        ssize_t got = pread(fd, buffer, sizeof buffer, (off_t)begin);
        if (got < 0) abort();
        memset(buffer + got, 0, sizeof buffer - (size_t)got);
        size_t length = upto - begin < sizeof buffer ? upto - begin : sizeof buffer;
        length = (length + SECTOR - 1) / SECTOR * SECTOR;
        if (memcmp(known->bytes + begin, buffer, length) == 0) continue;
        for (size_t in = 0; in < length; in += SECTOR) {
            if (memcmp(known->bytes + begin + in, buffer + in, SECTOR) == 0) continue;
            note_change(at, number, (begin + in) / SECTOR, buffer + in);
            memcpy(known->bytes + begin + in, buffer + in, SECTOR);
        }
    }
    known->size = size;
}

static void record_folder(disk_record *of, moment *at, unsigned number, int fd) {
    entry *entries = need(calloc(ENTRIES_MAX, sizeof *entries));
    unsigned count = 0;
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *listing = again >= 0 ? fdopendir(again) : NULL;
    if (listing == NULL) abort();
    for (struct dirent *found; (found = readdir(listing)) != NULL;) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        int child = openat(fd, found->d_name, O_RDONLY | O_NOFOLLOW);
        struct stat facts;
        if (child < 0 || fstat(child, &facts) != 0 || count == ENTRIES_MAX) abort();
        entry *made = &entries[count++];
        snprintf(made->name, sizeof made->name, "%.63s", found->d_name);
        made->node = node_of(of, &facts);
        if (S_ISDIR(facts.st_mode))
            record_folder(of, at, made->node, child);
        else
            record_file(of, at, made->node, child);
        close(child);
    }
    closedir(listing);
    if (at->folder_count == sizeof at->folders / sizeof *at->folders) abort();
    at->folders[at->folder_count].node = number;
    at->folders[at->folder_count].entries = entries;
    at->folders[at->folder_count++].count = count;
}

static moment *record_moment(disk_record *of) {
    if (of->count == of->capacity) {
        of->capacity = of->capacity == 0 ? 256 : 2 * of->capacity;
        of->moments = need(realloc(of->moments, of->capacity * sizeof *of->moments));
    }
    moment *at = &of->moments[of->count++];
    *at = (moment){.synced = -1, .mark = of->mark};
    int fd = open(of->folder, O_RDONLY | O_DIRECTORY);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) != 0) abort();
    record_folder(of, at, node_of(of, &facts), fd);
    close(fd);
    for (unsigned i = 0; i < of->node_count; i++)
        at->sizes[i] = of->nodes[i].now.size;
    return at;
}

static void see(watch_call call, int fd, const char *path, const void *data, size_t bytes, off_t offset) {
    (void)path;
    disk_record *of = recording;
    struct stat facts;
    bool at_once = call == WATCH_WRITE && bytes > 0 && (fcntl(fd, F_GETFL) & O_DSYNC) == O_DSYNC;
    if (of == NULL || (call != WATCH_SYNC && !at_once)) return;
    if (fstat(fd, &facts) != 0) abort();
    moment *at = record_moment(of);
    at->synced = (int)node_of(of, &facts);
    if (!at_once) return;
    at->written = need(malloc(bytes));
    memcpy(at->written, data, bytes);
    at->written_bytes = bytes;
    at->written_at = (uint64_t)offset;
}

disk_record *disk_record_start(const char *folder) {
    disk_record *made = need(calloc(1, sizeof *made));
    snprintf(made->folder, sizeof made->folder, "%s", folder);
    recording = made;
    fault_watch(folder, see);
    return made;
}

void disk_record_mark(disk_record *of, unsigned mark) {
    of->mark = mark;
    record_moment(of);
}

void disk_record_stop(disk_record *of) {
    fault_watch(NULL, NULL);
    recording = NULL;
    for (unsigned i = 0; i < of->node_count; i++) {
        free(of->nodes[i].now.bytes);
        of->nodes[i].now = (content){0};
    }
}

/* ---- playing ---- */

static void make_durable(disk_record *of, const moment *at) {
    node *synced = &of->nodes[at->synced];
    content *to = &synced->durable;
    if (synced->folder) {
        memcpy(to->entries, synced->now.entries, sizeof to->entries);
        to->count = synced->now.count;
        return;
    }
    if (at->written != NULL) {
        size_t end = (size_t)at->written_at + at->written_bytes;
        hold_bytes(to, end);
        if (end > to->size) to->size = end;
        memcpy(to->bytes + at->written_at, at->written, at->written_bytes);
        return;
    }
    hold_bytes(to, synced->now.size);
    memset(to->bytes, 0, to->capacity);
    if (synced->now.size > 0) memcpy(to->bytes, synced->now.bytes, synced->now.size);
    to->size = synced->now.size;
}

bool disk_record_next(disk_record *of, unsigned *mark) {
    if (of->played > 0 && of->moments[of->played - 1].synced >= 0) make_durable(of, &of->moments[of->played - 1]);
    if (of->played == of->count) return false;
    moment *at = &of->moments[of->played++];
    for (unsigned i = 0; i < of->node_count; i++) {
        hold_bytes(&of->nodes[i].now, at->sizes[i]);
        of->nodes[i].now.size = at->sizes[i];
    }
    for (size_t i = 0; i < at->change_count; i++) {
        content *to = &of->nodes[at->changes[i].node].now;
        hold_bytes(to, ((size_t)at->changes[i].sector + 1) * SECTOR);
        memcpy(to->bytes + (size_t)at->changes[i].sector * SECTOR, at->changes[i].bytes, SECTOR);
    }
    for (unsigned i = 0; i < at->folder_count; i++) {
        content *to = &of->nodes[at->folders[i].node].now;
        memcpy(to->entries, at->folders[i].entries, sizeof to->entries);
        to->count = at->folders[i].count;
    }
    *mark = at->mark;
    return true;
}

/* ---- images ---- */

typedef struct drawing {
    const disk_record *record;
    disk_choice choice;
    uint64_t *random;
    unsigned part; /* a sector is new with a chance of part / 8 */
} drawing;

static bool coin(const drawing *of) {
    return random_below(of->random, 2) == 1;
}

static void draw_file(const drawing *of, const node *file, bool is_index, int folder, const char *name) {
    bool all_new = of->choice == DISK_NEW || (of->choice == DISK_INDEX && is_index) ||
                   (of->choice == DISK_EXTENTS && !is_index) || (of->choice == DISK_FILES && coin(of));
    bool mixed = of->choice == DISK_SECTORS;
    const content *base = all_new ? &file->now : &file->durable;
    size_t size = mixed && coin(of) ? file->now.size : base->size;
    size_t whole = (size + SECTOR - 1) / SECTOR * SECTOR;
    uint8_t *bytes = need(calloc(whole + 1, 1));
    memcpy(bytes, base->bytes == NULL ? bytes : base->bytes, base->capacity < whole ? base->capacity : whole);
    for (size_t at = 0; mixed && at < whole; at += SECTOR) {
        if (at >= file->now.capacity || memcmp(bytes + at, file->now.bytes + at, SECTOR) == 0) continue;
        if (random_below(of->random, 8) < of->part) memcpy(bytes + at, file->now.bytes + at, SECTOR);
    }
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || (size > 0 && pwrite(fd, bytes, size, 0) != (ssize_t)size)) abort();
    close(fd);
    free(bytes);
}

static bool has(const content *folder, const entry *wanted, bool by_node) {
    for (unsigned i = 0; i < folder->count; i++)
        if (folder->entries[i].node == wanted->node && (by_node || strcmp(folder->entries[i].name, wanted->name) == 0))
            return true;
    return false;
}

static bool has_name(const content *folder, const char *name) {
    for (unsigned i = 0; i < folder->count; i++)
        if (strcmp(folder->entries[i].name, name) == 0) return true;
    return false;
}

/* A folder in which something was renamed is old or new as a whole; else each new or removed name for itself. */
static unsigned draw_entries(const drawing *of, const node *folder, entry *chosen) {
    const content *old = &folder->durable, *now = &folder->now;
    bool renamed = false, lately = of->choice == DISK_NEW || (of->choice != DISK_OLD && coin(of));
    unsigned count = 0;
    for (unsigned i = 0; i < old->count; i++)
        renamed = renamed || (has(now, &old->entries[i], true) && !has(now, &old->entries[i], false)) ||
                  (!has(now, &old->entries[i], false) && has_name(now, old->entries[i].name));
    bool single = of->choice == DISK_SECTORS && !renamed;
    for (unsigned i = 0; i < old->count; i++)
        if (has(now, &old->entries[i], false) || (single ? coin(of) : !lately)) chosen[count++] = old->entries[i];
    for (unsigned i = 0; i < now->count; i++)
        if (!has(old, &now->entries[i], false) && (single ? coin(of) : lately)) chosen[count++] = now->entries[i];
    return count;
}

static void draw_folder(const drawing *of, const node *folder, int fd) {
    entry chosen[2 * ENTRIES_MAX];
    unsigned count = draw_entries(of, folder, chosen);
    for (unsigned i = 0; i < count; i++) {
        const node *child = &of->record->nodes[chosen[i].node];
        if (!child->folder) {
            draw_file(of, child, strcmp(chosen[i].name, "data.mdb") == 0, fd, chosen[i].name);
            continue;
        }
        if (mkdirat(fd, chosen[i].name, 0700) != 0) abort();
        int inside = openat(fd, chosen[i].name, O_RDONLY | O_DIRECTORY);
        if (inside < 0) abort();
        draw_folder(of, child, inside);
        close(inside);
    }
}

static void empty(int fd) {
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *listing = fdopendir(again);
    if (listing == NULL) abort();
    for (struct dirent *found; (found = readdir(listing)) != NULL;) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        if (unlinkat(fd, found->d_name, 0) == 0) continue;
        int inside = openat(fd, found->d_name, O_RDONLY | O_DIRECTORY);
        if (inside < 0) abort();
        empty(inside);
        close(inside);
        if (unlinkat(fd, found->d_name, AT_REMOVEDIR) != 0) abort();
    }
    closedir(listing);
}

void disk_record_image(disk_record *of, disk_choice choice, uint64_t *random, const char *to) {
    static const unsigned parts[] = {1, 4, 7};
    drawing made = {.record = of, .choice = choice, .random = random, .part = parts[random_below(random, 3)]};
    if (mkdir(to, 0700) != 0 && access(to, W_OK) != 0) abort();
    int fd = open(to, O_RDONLY | O_DIRECTORY);
    if (fd < 0) abort();
    empty(fd);
    draw_folder(&made, &of->nodes[0], fd);
    close(fd);
}

void disk_record_free(disk_record *of) {
    for (size_t i = 0; i < of->count; i++) {
        for (unsigned j = 0; j < of->moments[i].folder_count; j++)
            free(of->moments[i].folders[j].entries);
        free(of->moments[i].changes);
        free(of->moments[i].written);
    }
    for (unsigned i = 0; i < of->node_count; i++) {
        free(of->nodes[i].now.bytes);
        free(of->nodes[i].durable.bytes);
    }
    free(of->moments);
    free(of);
}
