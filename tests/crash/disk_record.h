/* disk_record.h - what the disk may hold after a power cut. While a scene runs, every file under a folder is recorded
 * before each sync and at each mark: the content that the page cache has (NOW), and what was synced is known to be on
 * the disk (DURABLE). Afterwards the record is played, moment by moment, and images of the disk are made: every
 * 512-byte sector, size and folder entry that differs between DURABLE and NOW is independently old or new.
 *
 * The rules are POSIX's strictest: fsync and fdatasync make one file's bytes and size durable, a file that is opened
 * with O_DSYNC each write; a name is durable when its folder was synced. A rename is one step. */
#ifndef LOOM_TESTS_DISK_RECORD_H
#define LOOM_TESTS_DISK_RECORD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct disk_record disk_record;

/* Records from now on until disk_record_stop. */
disk_record *disk_record_start(const char *folder);
/* A moment between two syncs: `mark` is given back with it. */
void disk_record_mark(disk_record *of, unsigned mark);
void disk_record_stop(disk_record *of);

typedef enum disk_choice {
    DISK_OLD,     /* nothing that was not synced */
    DISK_NEW,     /* all of it: only the machine's memory is lost */
    DISK_INDEX,   /* all of the index, nothing of the rest */
    DISK_EXTENTS, /* all but the index */
    DISK_FILES,   /* each file old or new */
    DISK_SECTORS  /* each sector */
} disk_choice;

/* The next moment; *mark is the last one passed. False at the end. */
bool disk_record_next(disk_record *of, unsigned *mark);
/* Makes the image of this moment in the folder `to`, which is emptied first. */
void disk_record_image(disk_record *of, disk_choice choice, uint64_t *random, const char *to);
void disk_record_free(disk_record *of);

#endif
