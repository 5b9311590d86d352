/* data_files.c - the files that a header names for its voxels. */
#include "io/data_files.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A pattern could name more files than there is memory for their names. */
#define PATTERN_FILES_MAX 100000u

loom_status loom_list_data_files(loom_volume *volume, loom_text *text, uint64_t count, loom_error *err) {
    char *line;
    for (uint64_t i = 0; i < count; i++) {
        line = loom_text_line(text);
        const char *name = line ? loom_trim(line) : "";
        if (*name == '\0')
            return loom_fail(err, LOOM_BAD_INPUT,
                             "%s: its list names %llu files, but the image has %llu; add the others", volume->path,
                             (unsigned long long)i, (unsigned long long)count);
        LOOM_TRY(loom_volume_add_file(volume, loom_volume_beside(volume, name), err));
    }
    while ((line = loom_text_line(text)) != NULL)
        if (*loom_trim(line) != '\0')
            return loom_fail(err, LOOM_BAD_INPUT, "%s: its list names more files than the image's %llu; remove %.60s",
                             volume->path, (unsigned long long)count, line);
    return LOOM_OK;
}

/* The one "%d", "%3d" or "%03d" of a pattern; false if there is something else. */
static bool split_pattern(const char *pattern, size_t *before, int *width, bool *zeros, const char **after) {
    const char *percent = strchr(pattern, '%');
    if (!percent) return false;
    const char *at = percent + 1;
    *before = (size_t)(percent - pattern);
    *zeros = *at == '0';
    *width = 0;
    for (; isdigit((unsigned char)*at) && *width < 100; at++)
        *width = *width * 10 + (*at - '0');
    *after = at + 1;
    return *at == 'd' && *width < 20 && !strchr(*after, '%');
}

loom_status loom_pattern_data_files(loom_volume *volume, const char *pattern, const uint64_t range[3], uint64_t count,
                                    loom_error *err) {
    size_t before;
    int width;
    bool zeros;
    const char *after;
    if (range[2] == 0 || range[1] < range[0] || !split_pattern(pattern, &before, &width, &zeros, &after))
        return loom_fail(
            err, LOOM_BAD_INPUT,
            "%s: its header names data by a pattern that is not understood; write it like slice%%03d.raw 1 60 1",
            volume->path);
    uint64_t named = (range[1] - range[0]) / range[2] + 1;
    if (named != count)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its pattern names %llu files, but the image has %llu; correct it",
                         volume->path, (unsigned long long)named, (unsigned long long)count);
    if (count > PATTERN_FILES_MAX)
        return loom_fail(err, LOOM_TOO_LARGE, "%s: its pattern names %llu files; at most %u are read", volume->path,
                         (unsigned long long)count, PATTERN_FILES_MAX);
    for (uint64_t i = 0; i < count; i++) {
        char name[1024];
        unsigned long long number = range[0] + i * range[2];
        int length = zeros ? snprintf(name, sizeof name, "%.*s%0*llu%s", (int)before, pattern, width, number, after)
                           : snprintf(name, sizeof name, "%.*s%*llu%s", (int)before, pattern, width, number, after);
        if (length < 0 || (size_t)length >= sizeof name)
            return loom_fail(err, LOOM_BAD_INPUT, "%s: its header names data by a pattern that is too long",
                             volume->path);
        LOOM_TRY(loom_volume_add_file(volume, loom_volume_beside(volume, name), err));
    }
    return LOOM_OK;
}
