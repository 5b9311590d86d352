/* data_files.h - headers that name many files for their voxels, as NRRD and MetaImage do: by a list or by a pattern. */
#ifndef LOOM_IO_DATA_FILES_H
#define LOOM_IO_DATA_FILES_H

#include "io/text.h"
#include "io/volume_private.h"

/* The lines that are left in the text name exactly `count` files. */
loom_status loom_list_data_files(loom_volume *volume, loom_text *text, uint64_t count, loom_error *err);
/* `pattern` has one "%d", "%3d" or "%03d", which stands for range[0] to range[1] in steps of range[2]: `count` in all.
 */
loom_status loom_pattern_data_files(loom_volume *volume, const char *pattern, const uint64_t range[3], uint64_t count,
                                    loom_error *err);

#endif
