/* write.c - writes the header, as ITK does, and the samples as they are. */
#include "io/nrrd/write.h"

#include "io/nrrd/header.h"
#include "io/output.h"

loom_status loom_nrrd_write(const loom_writing *writing, loom_error *err) {
    char text[LOOM_NRRD_TEXT_BYTES];
    size_t length = loom_nrrd_format(writing->header, writing->data_name, text);
    LOOM_TRY(loom_write_all(writing->fd, writing->path, text, length, err));
    return loom_write_all(writing->data_fd, writing->path, writing->voxels, (size_t)loom_image_bytes(writing->header),
                          err);
}
