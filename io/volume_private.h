/* volume_private.h - an open image file, and what each format gives to the door in volume.c. */
#ifndef LOOM_IO_VOLUME_PRIVATE_H
#define LOOM_IO_VOLUME_PRIVATE_H

#include "io/inflate.h"
#include "io/volume.h"

/* Bytes of the (decompressed) file by which its format is found. */
#define LOOM_START_BYTES ((size_t)4096)

typedef struct loom_format loom_format;

struct loom_volume {
    char *path;
    loom_input input;    /* the file that was named; closed for a folder */
    loom_stream *stream; /* its bytes in order, decompressed; NULL for a folder */
    const loom_format *format;
    loom_image_header header;
    void *detail;  /* what the format keeps from open to load; a block of its own, without pointers to others */
    char **others; /* further files that are read, in the order of reading */
    size_t other_count, other_capacity;
};

/* Adds a file; takes over `path`, which was allocated, and may be NULL for want of memory. */
loom_status loom_volume_add_file(loom_volume *volume, char *path, loom_error *err);
/* The path of a file that `volume` names relative to its own folder; NULL when out of memory. */
char *loom_volume_beside(const loom_volume *volume, const char *name);

/* What a format writes to: open descriptors at their start. `level` is zlib's, 0 to 9. */
typedef struct loom_writing {
    int fd;
    int data_fd;           /* for the voxels: the same, unless they go into a file of their own */
    const char *data_name; /* of that file, without its folder; else NULL */
    const char *path;      /* as the user named it */
    int level;
    const loom_image_header *header; /* checked */
    const void *voxels;
} loom_writing;

/* One image format. `start` holds the first bytes of the file, at most LOOM_START_BYTES. */
struct loom_format {
    const char *name;        /* for messages: "NIfTI" */
    const char *suffixes[5]; /* that are written, NULL after the last */
    const char *detached;    /* the suffix with which voxels go into a file of their own; or NULL */
    bool compressed;         /* may be a gzip file as a whole */
    bool many_files;         /* may name further files */
    bool (*recognise)(const uint8_t *start, size_t length);
    /* Fills header and detail, names all further files, and checks what can be checked before loading. */
    loom_status (*open)(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err);
    loom_status (*load)(loom_volume *volume, const loom_volume_sink *sink, loom_error *err);
    loom_status (*write)(const loom_writing *writing, loom_error *err); /* NULL: is only read */
};

extern const loom_format loom_format_nifti;
extern const loom_format loom_format_png;
extern const loom_format loom_format_metaimage;
extern const loom_format loom_format_nrrd;
extern const loom_format loom_format_bmp;
extern const loom_format loom_format_jpeg;
extern const loom_format loom_format_tiff;
extern const loom_format loom_format_dicom;
extern const loom_format loom_format_dicom_folder; /* not in the table: what a folder is */

/* formats.c: the table. */
const loom_format *loom_format_of_content(const uint8_t *start, size_t length, bool gzip); /* NULL if none */
const loom_format *loom_format_of_suffix(const char *path);                                /* NULL if none */
bool loom_path_has_suffix(const char *path, const char *suffix); /* in any case, and with something before it */

#endif
