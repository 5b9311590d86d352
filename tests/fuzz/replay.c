/* replay.c - feeds every file of a corpus folder to a fuzz target, so that what a fuzzer once found stays tested with
 * any compiler. Fails when the folder is missing or empty: a fuzz target without a corpus tests nothing here. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    struct stat status;
    if (fstat(fileno(file), &status) != 0 || status.st_size < 0) {
        perror(path);
        fclose(file);
        return 1;
    }
    size_t size = (size_t)status.st_size;
    /* An exact allocation, so that AddressSanitizer sees a read of one byte too many. */
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    size_t got = bytes != NULL ? fread(bytes, 1, size, file) : 0;
    fclose(file);
    if (bytes == NULL || got != size) {
        fprintf(stderr, "%s: cannot read %zu bytes\n", path, size);
        free(bytes);
        return 1;
    }
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries = NULL;
    int count = scandir(argv[1], &entries, NULL, alphasort);
    if (count < 0) {
        perror(argv[1]);
        return 1;
    }
    int failures = 0;
    int replayed = 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", argv[1], name);
        if (name[0] != '.' && length > 0 && (size_t)length < sizeof path) {
            printf("%s\n", name);
            fflush(stdout);
            failures += replay_file(path);
            replayed++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d files replayed\n", replayed);
    return failures > 0 || replayed == 0 ? 1 : 0;
}
