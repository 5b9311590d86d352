/* phantom_command.c - `voxloom phantom`: writes a synthetic head to try programs on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/volume.h"
#include "runtime/cli/command.h"
#include "runtime/cli/phantom.h"

/* "240x240x155"; false if it is anything else or an edge is 0 or above 4096. */
static bool read_size(const char *text, uint64_t size[3]) {
    const char *at = text;
    for (int axis = 0; axis < 3; axis++) {
        char *end = NULL;
        if (*at < '0' || *at > '9') return false;
        errno = 0;
        unsigned long value = strtoul(at, &end, 10);
        if (errno != 0 || value == 0 || value > 4096) return false;
        if (*end != (axis < 2 ? 'x' : '\0')) return false;
        size[axis] = value;
        at = end + 1;
    }
    return true;
}

static bool read_seed(const char *text, uint64_t *seed) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0) return false;
    *seed = value;
    return true;
}

static int write_phantom(const loom_command *self, const char *path, const char *size_text, const char *seed_text) {
    uint64_t size[3];
    uint64_t seed;
    if (!read_size(size_text, size))
        return loom_exit_usage(self, "--size %s is not WIDTHxHEIGHTxDEPTH, each from 1 to 4096", size_text);
    if (!read_seed(seed_text, &seed)) return loom_exit_usage(self, "--seed %s is not a number from 0", seed_text);
    size_t length = strlen(path);
    bool nifti = (length > 4 && strcmp(path + length - 4, ".nii") == 0) ||
                 (length > 7 && strcmp(path + length - 7, ".nii.gz") == 0);
    if (!nifti) return loom_exit_usage(self, "%s ends in neither .nii.gz nor .nii", path);
    loom_error err = {0};
    if (loom_phantom_write(path, size, seed, &err) != LOOM_OK) return loom_exit_failed(&err);
    return 0;
}

static int phantom(const loom_command *self, int argc, char **argv) {
    loom_words words = {0};
    const char *size = "240x240x155";
    const char *seed = "0";
    const loom_option options[] = {{.name = "--size", .value = &size}, {.name = "--seed", .value = &seed}};
    loom_parsed parsed = loom_options_parse(self, argc, argv, options, LOOM_COUNT(options), 1, 1, &words);
    int status = parsed == LOOM_PARSED_FAILED ? 2 : 0;
    if (parsed == LOOM_PARSED) status = write_phantom(self, words.items[0], size, seed);
    loom_words_free(&words);
    return status;
}

const loom_command loom_command_phantom = {
    .name = "phantom",
    .summary = "Writes a synthetic FLAIR head with a tumour, to try programs on",
    .usage = "voxloom phantom OUT.nii.gz [--size XxYxZ] [--seed N]",
    .help = "Skull, tissue, ventricles, a hyper-intense tumour with oedema, noise and a bias field. The same\n"
            "size and seed give the same voxels on every machine.\n\n"
            "  --size XxYxZ   voxels of 1 mm (default 240x240x155)\n"
            "  --seed N       another head (default 0)\n",
    .run = phantom,
};
