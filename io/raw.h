/* raw.h - voxels that are stored as plain numbers, one after the other, in the file of the header or in others: what
 * NRRD and MetaImage have in common. */
#ifndef LOOM_IO_RAW_H
#define LOOM_IO_RAW_H

#include "io/text.h"
#include "io/volume_private.h"

/* The detail of such a volume. The image header says what is stored; if there are other files, each holds an equal part
 * of it. */
typedef struct loom_raw {
    bool swapped;         /* big-endian */
    bool planar;          /* all first components come first, then all second ones, ... */
    bool at_end;          /* the data are the last bytes of each file, whatever comes before; not compressed */
    loom_packing packing; /* not AUTO */
    uint64_t offset;      /* of the data in each file; if at_end, they begin there or later */
} loom_raw;

/* Reads the text of a header: fills in volume->header, *raw, and the files that hold the data. */
typedef loom_status loom_raw_describe(loom_volume *volume, loom_text *text, loom_raw *raw, loom_error *err);
/* Makes volume->detail of what `describe` says, and compares what the header promises with the length of each file. */
loom_status loom_raw_open(loom_volume *volume, loom_raw_describe *describe, loom_error *err);
loom_status loom_raw_load(loom_volume *volume, const loom_volume_sink *sink, loom_error *err);

#endif
