/* write.c - writes the header, as ITK does, and the voxels as they are. */
#include "io/metaimage/write.h"

#include "io/metaimage/header.h"
#include "io/output.h"

loom_status loom_metaimage_write(const loom_writing *writing, loom_error *err) {
    char text[LOOM_METAIMAGE_TEXT_BYTES];
    size_t length = loom_metaimage_format(writing->header, writing->data_name ? writing->data_name : "LOCAL", text);
    LOOM_TRY(loom_write_all(writing->fd, writing->path, text, length, err));
    return loom_write_all(writing->data_fd, writing->path, writing->voxels, (size_t)loom_image_bytes(writing->header),
                          err);
}
