/* read.c - DICOM: a file as a 3D image, or a folder that holds one series, sorted along its normal, as ITK 5.2's
 * GDCMImageIO and ImageSeriesReader do. A folder whose slices are not evenly spaced, or not alike, is refused: ITK
 * would deliver an image of a wrong shape. One slice is in memory at a time. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/dicom/gdcm.h"
#include "io/dicom/isolate.h"
#include "io/dicom/layout.h"
#include "io/sink.h"
#include "io/volume_private.h"

/* Slices may be off their places by this share of their distance: positions are written with few digits. */
#define GAP_TOLERANCE 0.01
/* No transfer syntax packs more closely: a larger claim is a lie, and nothing is reserved for it. */
#define RATIO_MAX 4096u
/* CPU time that a file may take, whatever is in it. */
#define SECONDS_MAX 120u

static bool dicom_recognise(const uint8_t *start, size_t length) {
    return length > 132 && memcmp(start + 128, "DICM", 4) == 0;
}

/* ---- GDCM in a child ---- */

typedef struct describe_request {
    const loom_gdcm *gdcm;
    const char *const *paths;
    size_t count;
    loom_dicom *found; /* shared */
} describe_request;

static loom_status describe_work(void *argument, loom_error *err) {
    const describe_request *request = argument;
    for (size_t i = 0; i < request->count; i++)
        LOOM_TRY(request->gdcm->describe(request->paths[i], &request->found[i], err));
    return LOOM_OK;
}

/* Describes files in one child; `name` is for a message if it breaks down. */
static loom_status describe_files(const char *name, const char *const *paths, size_t count, loom_dicom *dicoms,
                                  loom_error *err) {
    describe_request request = {.paths = paths, .count = count};
    LOOM_TRY(loom_gdcm_load(&request.gdcm, err));
    request.found = loom_shared_alloc(count * sizeof *dicoms);
    if (!request.found) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", name);
    loom_status status = loom_isolated(name, describe_work, &request, SECONDS_MAX, err);
    if (status == LOOM_OK) memcpy(dicoms, request.found, count * sizeof *dicoms);
    loom_shared_free(request.found, count * sizeof *dicoms);
    return status;
}

typedef struct decode_request {
    const loom_gdcm *gdcm;
    const char *path;
    const loom_dicom *dicom;
    void *pixels; /* shared */
    size_t bytes;
} decode_request;

static loom_status decode_work(void *argument, loom_error *err) {
    const decode_request *request = argument;
    return request->gdcm->decode(request->path, request->dicom, request->pixels, request->bytes, err);
}

/* ---- one file ---- */

static uint8_t type_of(const loom_dicom *dicom) {
    static const struct {
        char kind;
        uint8_t bytes;
        loom_dtype dtype;
    } types[] = {{'u', 1, LOOM_U8},  {'i', 1, LOOM_I8},  {'u', 2, LOOM_U16}, {'i', 2, LOOM_I16},
                 {'u', 4, LOOM_U32}, {'i', 4, LOOM_I32}, {'f', 4, LOOM_F32}, {'f', 8, LOOM_F64}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].kind == dicom->kind && types[i].bytes == dicom->bytes) return (uint8_t)types[i].dtype;
    return 0;
}

static void cross(const double a[3], const double b[3], double product[3]) {
    product[0] = a[1] * b[2] - a[2] * b[1];
    product[1] = a[2] * b[0] - a[0] * b[2];
    product[2] = a[0] * b[1] - a[1] * b[0];
}

static loom_status make_header(const loom_dicom *dicom, const char *path, uint64_t file_bytes,
                               loom_image_header *header, loom_error *err) {
    double normal[3];
    *header = loom_image_header_make(LOOM_U8, 3, dicom->size);
    header->dtype = type_of(dicom);
    header->components = dicom->components;
    cross(dicom->row, dicom->column, normal);
    for (unsigned i = 0; i < 3; i++) {
        header->spacing[i] = dicom->spacing[i];
        header->origin[i] = dicom->origin[i];
        header->direction[i * LOOM_RANK_MAX] = dicom->row[i];
        header->direction[i * LOOM_RANK_MAX + 1] = dicom->column[i];
        header->direction[i * LOOM_RANK_MAX + 2] = normal[i];
    }
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(header, &detail);
    if (status != LOOM_OK)
        return loom_fail(err, status == LOOM_TOO_LARGE ? status : LOOM_BAD_INPUT, "%s: %s", path, detail.message);
    if (loom_image_bytes(header) / RATIO_MAX > file_bytes)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: claims more pixels than its %llu bytes can hold; get a complete copy of the file", path,
                         (unsigned long long)file_bytes);
    return LOOM_OK;
}

static loom_status dicom_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    loom_dicom *dicom = malloc(sizeof *dicom);
    if (!dicom) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    volume->detail = dicom;
    const char *path = volume->path;
    LOOM_TRY(loom_dicom_check_layout(&volume->input, err));
    LOOM_TRY(describe_files(path, &path, 1, dicom, err));
    return make_header(dicom, volume->path, volume->input.bytes, &volume->header, err);
}

/* ---- the files of a folder ---- */

typedef struct dicom_slice {
    loom_dicom dicom;
    char *path;
    uint64_t bytes;
    double place; /* along the normal */
} dicom_slice;

typedef struct dicom_series {
    dicom_slice *slices;
    size_t count, capacity;
} dicom_series;

static void series_close(dicom_series *series) {
    for (size_t i = 0; i < series->count; i++)
        free(series->slices[i].path);
    free(series->slices);
}

/* What should be a slice and is none would be missing from the image, which nobody sees if it is the first or last. */
static const char *lost_slice(const char *path, const uint8_t *start, size_t length) {
    static const char *const suffixes[] = {".dcm", ".dicom", ".ima"};
    size_t zeros = 0;
    while (zeros < length && start[zeros] == 0)
        zeros++;
    if (zeros == length) return "is empty";
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (loom_path_has_suffix(path, suffixes[i])) return "is named like a DICOM file and is none";
    /* A data set, little-endian, from group 8 on. */
    bool bare = length >= 8 && start[0] == 8 && start[1] == 0 && start[2] <= 0x18 && start[3] == 0;
    return bare ? "has DICOM data without a file's preamble" : NULL;
}

/* Other things in the folder (notes, DICOMDIR, folders) are passed over; a file that is DICOM must be readable. */
static loom_status add_slice(dicom_series *series, char *path, loom_error *err) {
    loom_input input;
    uint8_t start[256];
    size_t length = 0;
    struct stat facts;
    if (stat(path, &facts) != 0) {
        loom_status failed = loom_fail(err, LOOM_BAD_INPUT, "%s: cannot be examined (%s); get the file, or remove it",
                                       path, strerror(errno));
        free(path);
        return failed;
    }
    if (!S_ISREG(facts.st_mode)) {
        free(path);
        return LOOM_OK;
    }
    loom_status status = loom_input_open(path, &input, err);
    if (status == LOOM_OK) status = loom_input_read(&input, start, sizeof start, 0, &length, err);
    bool dicom = dicom_recognise(start, length) && strcmp(strrchr(path, '/') + 1, "DICOMDIR") != 0;
    if (status == LOOM_OK && dicom) status = loom_dicom_check_layout(&input, err);
    const char *lost = dicom || status != LOOM_OK ? NULL : lost_slice(path, start, length);
    if (lost) status = loom_fail(err, LOOM_BAD_INPUT, "%s: %s; get a fresh copy of it, or move it away", path, lost);
    loom_input_close(&input);
    if (status != LOOM_OK || !dicom) {
        free(path);
        return status;
    }
    if (series->count == series->capacity) {
        size_t capacity = series->capacity ? 2 * series->capacity : 64;
        dicom_slice *grown = reallocarray(series->slices, capacity, sizeof *grown);
        if (!grown) {
            status = loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", path);
            free(path);
            return status;
        }
        series->slices = grown;
        series->capacity = capacity;
    }
    dicom_slice *slice = &series->slices[series->count++];
    *slice = (dicom_slice){.path = path, .bytes = input.bytes};
    return LOOM_OK;
}

static loom_status list_folder(const char *folder, dicom_series *series, loom_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return loom_fail_errno(err, errno, "%s: the folder cannot be read; check its permissions", folder);
    loom_status status = LOOM_OK;
    errno = 0;
    for (struct dirent *entry; status == LOOM_OK && (entry = readdir(dir)) != NULL; errno = 0) {
        if (entry->d_name[0] == '.') continue;
        size_t length = strlen(folder) + strlen(entry->d_name) + 2;
        char *path = malloc(length);
        if (!path) {
            status = loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", folder);
            break;
        }
        snprintf(path, length, "%s/%s", folder, entry->d_name);
        status = add_slice(series, path, err);
    }
    if (status == LOOM_OK && errno != 0) status = loom_fail_errno(err, errno, "%s: the folder cannot be read", folder);
    closedir(dir);
    return status;
}

static loom_status describe_slices(const char *folder, dicom_series *series, loom_error *err) {
    if (series->count == 0)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: is a folder without DICOM files; name a file in it, or another folder", folder);
    const char **paths = calloc(series->count, sizeof *paths);
    loom_dicom *dicoms = calloc(series->count, sizeof *dicoms);
    loom_status status = LOOM_NO_MEMORY;
    if (paths && dicoms) {
        for (size_t i = 0; i < series->count; i++)
            paths[i] = series->slices[i].path;
        status = describe_files(folder, paths, series->count, dicoms, err);
        for (size_t i = 0; i < series->count && status == LOOM_OK; i++)
            series->slices[i].dicom = dicoms[i];
    } else {
        loom_fail(err, status, "no memory to read %s", folder);
    }
    free(paths);
    free(dicoms);
    return status;
}

/* ---- a series ---- */

static int by_place(const void *a, const void *b) {
    const dicom_slice *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return strcmp(x->path, y->path);
}

static bool alike(const loom_dicom *a, const loom_dicom *b) {
    bool same = a->kind == b->kind && a->bytes == b->bytes && a->components == b->components &&
                a->size[0] == b->size[0] && a->size[1] == b->size[1] && a->size[2] == 1 && b->size[2] == 1;
    for (unsigned i = 0; i < 2; i++)
        same = same && fabs(a->spacing[i] - b->spacing[i]) <= 1e-4 * fabs(a->spacing[i]);
    for (unsigned i = 0; i < 3; i++)
        same = same && fabs(a->row[i] - b->row[i]) <= 1e-4 && fabs(a->column[i] - b->column[i]) <= 1e-4;
    return same;
}

static loom_status check_series(const char *folder, const dicom_series *series, loom_error *err) {
    for (size_t i = 1; i < series->count; i++) {
        const dicom_slice *first = &series->slices[0], *slice = &series->slices[i];
        if (strcmp(first->dicom.series, slice->dicom.series) != 0)
            return loom_fail(err, LOOM_BAD_INPUT,
                             "%s: holds several series (%s, %s); put each into a folder of its own", folder,
                             first->dicom.series, slice->dicom.series);
        if (!alike(&first->dicom, &slice->dicom))
            return loom_fail(err, LOOM_BAD_INPUT, "%s: %s differs from %s in size, type or direction; move it away",
                             folder, strrchr(slice->path, '/') + 1, strrchr(first->path, '/') + 1);
    }
    return LOOM_OK;
}

/* Sorts along the normal. The distance of slices is that of the first and the last, shared evenly, as in ITK. */
static loom_status sort_series(const char *folder, dicom_series *series, double *spacing, loom_error *err) {
    dicom_slice *slices = series->slices;
    double normal[3];
    cross(slices[0].dicom.row, slices[0].dicom.column, normal);
    for (size_t i = 0; i < series->count; i++) {
        slices[i].place = 0;
        for (unsigned k = 0; k < 3; k++)
            slices[i].place += slices[i].dicom.origin[k] * normal[k];
    }
    qsort(slices, series->count, sizeof *slices, by_place);
    *spacing = slices[0].dicom.spacing[2];
    if (series->count == 1) return LOOM_OK;
    const double *from = slices[0].dicom.origin, *to = slices[series->count - 1].dicom.origin;
    double sum = 0;
    for (unsigned k = 0; k < 3; k++)
        sum += (to[k] - from[k]) * (to[k] - from[k]);
    *spacing = sqrt(sum) / (double)(series->count - 1);
    for (size_t i = 1; i < series->count; i++) {
        double gap = slices[i].place - slices[i - 1].place;
        if (!(fabs(gap - *spacing) <= GAP_TOLERANCE * *spacing) || !(*spacing > 0))
            return loom_fail(
                err, LOOM_BAD_INPUT,
                "%s: its slices are not evenly spaced: %.6g mm from %s to %s, %.6g on average; add the missing "
                "slices, or move away those that do not belong",
                folder, gap, strrchr(slices[i - 1].path, '/') + 1, strrchr(slices[i].path, '/') + 1, *spacing);
    }
    return LOOM_OK;
}

/* The files are named by the volume; the first slice is its detail. */
static loom_status adopt(loom_volume *volume, dicom_series *series, double spacing, loom_error *err) {
    uint64_t bytes = 0;
    loom_dicom *whole = malloc(sizeof *whole);
    if (!whole) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    volume->detail = whole;
    *whole = series->slices[0].dicom;
    whole->spacing[2] = spacing;
    if (series->count > 1) whole->size[2] = series->count;
    for (size_t i = 0; i < series->count; i++) {
        char *path = series->slices[i].path;
        series->slices[i].path = NULL;
        bytes += series->slices[i].bytes;
        LOOM_TRY(loom_volume_add_file(volume, path, err));
    }
    return make_header(whole, volume->path, bytes, &volume->header, err);
}

static loom_status folder_open(loom_volume *volume, const uint8_t *start, size_t length, loom_error *err) {
    (void)start;
    (void)length;
    dicom_series series = {0};
    double spacing = 1;
    loom_status status = list_folder(volume->path, &series, err);
    if (status == LOOM_OK) status = describe_slices(volume->path, &series, err);
    if (status == LOOM_OK) status = check_series(volume->path, &series, err);
    if (status == LOOM_OK) status = sort_series(volume->path, &series, &spacing, err);
    if (status == LOOM_OK) status = adopt(volume, &series, spacing, err);
    series_close(&series);
    return status;
}

/* ---- pixels ---- */

static loom_status load_slice(decode_request *request, loom_error *err) {
    loom_input input;
    LOOM_TRY(loom_input_open(request->path, &input, err));
    loom_status status = loom_isolated(request->path, decode_work, request, SECONDS_MAX, err);
    if (status == LOOM_OK) status = loom_input_check_unchanged(&input, err);
    loom_input_close(&input);
    return status;
}

static loom_status load_all(const loom_volume *volume, loom_sink *sink, void *pixels, size_t bytes, loom_error *err) {
    const loom_gdcm *gdcm;
    LOOM_TRY(loom_gdcm_load(&gdcm, err));
    size_t files = volume->other_count > 0 ? volume->other_count : 1;
    loom_dicom slice = *(const loom_dicom *)volume->detail;
    if (volume->other_count > 1) slice.size[2] = 1;
    for (size_t i = 0; i < files; i++) {
        const char *path = volume->other_count > 0 ? volume->others[i] : volume->path;
        decode_request request = {.gdcm = gdcm, .path = path, .dicom = &slice, .pixels = pixels, .bytes = bytes};
        LOOM_TRY(load_slice(&request, err));
        LOOM_TRY(loom_sink_append(sink, pixels, bytes, err));
    }
    return LOOM_OK;
}

static loom_status dicom_load(loom_volume *volume, const loom_volume_sink *target, loom_error *err) {
    size_t files = volume->other_count > 0 ? volume->other_count : 1;
    size_t bytes = (size_t)loom_image_bytes(&volume->header) / files;
    loom_sink sink;
    void *pixels = loom_shared_alloc(bytes);
    if (!pixels) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", volume->path);
    loom_status status = loom_sink_open(target, loom_image_bytes(&volume->header), &sink, err);
    if (status == LOOM_OK) {
        status = load_all(volume, &sink, pixels, bytes, err);
        if (status == LOOM_OK)
            status = loom_sink_close(&sink, err);
        else
            loom_sink_abort(&sink);
    }
    loom_shared_free(pixels, bytes);
    return status;
}

const loom_format loom_format_dicom = {
    .name = "DICOM", .suffixes = {NULL}, .recognise = dicom_recognise, .open = dicom_open, .load = dicom_load};

const loom_format loom_format_dicom_folder = {
    .name = "DICOM series", .suffixes = {NULL}, .many_files = true, .open = folder_open, .load = dicom_load};
