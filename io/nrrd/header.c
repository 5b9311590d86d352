/* header.c - the fields of a NRRD header. Fields that say nothing about samples or geometry are passed over. */
#include "io/nrrd/header.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool loom_nrrd_recognise(const uint8_t *start, size_t length) {
    return length >= 9 && memcmp(start, "NRRD000", 7) == 0 && start[7] >= '1' && start[7] <= '5' &&
           (start[8] == '\n' || start[8] == '\r');
}

typedef struct fields {
    const char *name; /* of the file, for messages */
    loom_nrrd *nrrd;
    loom_error *err;
    unsigned seen; /* a bit for each row of `known` */
} fields;

typedef loom_status reader(fields *f, char *value);

static loom_status fail_value(const fields *f, const char *what, const char *value) {
    return loom_fail(f->err, LOOM_BAD_INPUT,
                     "%s: its header says %s: %.60s, which makes no sense; the header is damaged", f->name, what,
                     value);
}

/* ---- samples ---- */

static loom_status read_type(fields *f, char *value) {
    static const struct {
        const char *names[7];
        loom_dtype dtype;
    } types[] = {
        {{"signed char", "int8", "int8_t"}, LOOM_I8},
        {{"uchar", "unsigned char", "uint8", "uint8_t"}, LOOM_U8},
        {{"short", "short int", "signed short", "signed short int", "int16", "int16_t"}, LOOM_I16},
        {{"ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"}, LOOM_U16},
        {{"int", "signed int", "int32", "int32_t"}, LOOM_I32},
        {{"uint", "unsigned int", "uint32", "uint32_t"}, LOOM_U32},
        {{"longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"},
         LOOM_I64},
        {{"ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"}, LOOM_U64},
        {{"float"}, LOOM_F32},
        {{"double"}, LOOM_F64}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (size_t k = 0; k < 7 && types[i].names[k]; k++)
            if (strcasecmp(value, types[i].names[k]) == 0) {
                f->nrrd->dtype = types[i].dtype;
                return LOOM_OK;
            }
    return loom_fail(f->err, LOOM_UNSUPPORTED,
                     "%s: has samples of type %.40s, which is not supported; save it as float", f->name, value);
}

static loom_status read_encoding(fields *f, char *value) {
    if (strcasecmp(value, "raw") == 0) return LOOM_OK;
    f->nrrd->gzip = strcasecmp(value, "gzip") == 0 || strcasecmp(value, "gz") == 0;
    if (f->nrrd->gzip) return LOOM_OK;
    return loom_fail(f->err, LOOM_UNSUPPORTED, "%s: has the encoding %.40s, which is not read; save it as raw or gzip",
                     f->name, value);
}

static loom_status read_endian(fields *f, char *value) {
    f->nrrd->swapped = strcasecmp(value, "big") == 0;
    return f->nrrd->swapped || strcasecmp(value, "little") == 0 ? LOOM_OK : fail_value(f, "endian", value);
}

static loom_status read_line_skip(fields *f, char *value) {
    return loom_parse_counts(value, &f->nrrd->line_skip, 1) ? LOOM_OK : fail_value(f, "line skip", value);
}

static loom_status read_byte_skip(fields *f, char *value) {
    f->nrrd->skip_to_rest = strcmp(value, "-1") == 0;
    if (f->nrrd->skip_to_rest || loom_parse_counts(value, &f->nrrd->byte_skip, 1)) return LOOM_OK;
    return fail_value(f, "byte skip", value);
}

static loom_status read_data(fields *f, char *value) {
    f->nrrd->data = value;
    return *value != '\0' ? LOOM_OK : fail_value(f, "data file", value);
}

/* ---- axes ---- */

static loom_status read_dimension(fields *f, char *value) {
    uint64_t axes;
    if (!loom_parse_counts(value, &axes, 1) || axes == 0) return fail_value(f, "dimension", value);
    if (axes > LOOM_NRRD_AXES_MAX)
        return loom_fail(f->err, LOOM_UNSUPPORTED, "%s: has %llu axes; images have two to four, and one for components",
                         f->name, (unsigned long long)axes);
    f->nrrd->axes = (unsigned)axes;
    for (unsigned axis = 0; axis < axes; axis++)
        f->nrrd->axis[axis] = (loom_nrrd_axis){.spacing = NAN, .min = NAN, .max = NAN};
    return LOOM_OK;
}

static loom_status read_sizes(fields *f, char *value) {
    uint64_t sizes[LOOM_NRRD_AXES_MAX];
    if (!loom_parse_counts(value, sizes, f->nrrd->axes)) return fail_value(f, "sizes", value);
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++)
        f->nrrd->axis[axis].size = sizes[axis];
    return LOOM_OK;
}

static loom_status read_spacings(fields *f, char *value) {
    double numbers[LOOM_NRRD_AXES_MAX];
    if (!loom_parse_numbers(value, numbers, f->nrrd->axes)) return fail_value(f, "spacings", value);
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++)
        f->nrrd->axis[axis].spacing = numbers[axis];
    return LOOM_OK;
}

static loom_status read_mins(fields *f, char *value) {
    double numbers[LOOM_NRRD_AXES_MAX];
    if (!loom_parse_numbers(value, numbers, f->nrrd->axes)) return fail_value(f, "axis mins", value);
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++)
        f->nrrd->axis[axis].min = numbers[axis];
    return LOOM_OK;
}

static loom_status read_maxs(fields *f, char *value) {
    double numbers[LOOM_NRRD_AXES_MAX];
    if (!loom_parse_numbers(value, numbers, f->nrrd->axes)) return fail_value(f, "axis maxs", value);
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++)
        f->nrrd->axis[axis].max = numbers[axis];
    return LOOM_OK;
}

static loom_status read_centers(fields *f, char *value) {
    char *rest = value;
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++) {
        const char *word = loom_next_word(&rest);
        if (!word) return fail_value(f, "centers", value);
        f->nrrd->axis[axis].node = strcasecmp(word, "node") == 0;
    }
    return loom_next_word(&rest) ? fail_value(f, "centers", value) : LOOM_OK;
}

static bool is_one_of(const char *word, const char *const words[], size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(word, words[i]) == 0) return true;
    return false;
}

/* Kinds of axes in space and time; of axes over the values of one voxel; all others are complex numbers or matrices. */
static loom_status read_kinds(fields *f, char *value) {
    static const char *const domains[] = {"domain", "space", "time", "none", "???"};
    static const char *const components[] = {"list",      "point",     "vector",     "covariant-vector", "normal",
                                             "stub",      "scalar",    "2-vector",   "3-color",          "RGB-color",
                                             "HSV-color", "XYZ-color", "4-color",    "RGBA-color",       "3-vector",
                                             "3-normal",  "4-vector",  "quaternion", "3-gradient"};
    char *rest = value;
    for (unsigned axis = 0; axis < f->nrrd->axes; axis++) {
        const char *word = loom_next_word(&rest);
        if (!word) return fail_value(f, "kinds", value);
        f->nrrd->axis[axis].components = is_one_of(word, components, sizeof components / sizeof components[0]);
        if (!f->nrrd->axis[axis].components && !is_one_of(word, domains, sizeof domains / sizeof domains[0]))
            return loom_fail(
                f->err, LOOM_UNSUPPORTED,
                "%s: has an axis of kind %.40s, which is not supported; save its elements as separate images", f->name,
                word);
    }
    return loom_next_word(&rest) ? fail_value(f, "kinds", value) : LOOM_OK;
}

/* ---- space ---- */

static loom_status set_space(fields *f, unsigned dimension) {
    f->nrrd->space = dimension;
    for (unsigned i = 0; i < LOOM_RANK_MAX; i++)
        f->nrrd->flip[i] = 1.0;
    return LOOM_OK;
}

static loom_status read_space(fields *f, char *value) {
    static const char *const plain[] = {"left-posterior-superior", "LPS", "scanner-xyz", "3D-right-handed",
                                        "3D-left-handed"};
    static const char *const timed[] = {"left-posterior-superior-time", "LPST", "scanner-xyz-time",
                                        "3D-right-handed-time", "3D-left-handed-time"};
    static const char *const flipped[] = {"right-anterior-superior", "RAS"};
    if (is_one_of(value, plain, 5)) return set_space(f, 3);
    if (is_one_of(value, timed, 5)) return set_space(f, 4);
    if (is_one_of(value, flipped, 2)) {
        (void)set_space(f, 3);
        f->nrrd->flip[0] = f->nrrd->flip[1] = -1.0;
        return LOOM_OK;
    }
    /* ITK 5.2 mirrors the wrong axis of LAS, and none of RAST and LAST: there is no reading that suits all. */
    return loom_fail(f->err, LOOM_UNSUPPORTED,
                     "%s: lies in the space %.40s, which programs read differently; save it in "
                     "left-posterior-superior",
                     f->name, value);
}

static loom_status read_space_dimension(fields *f, char *value) {
    uint64_t dimension;
    if (!loom_parse_counts(value, &dimension, 1) || dimension == 0 || dimension > LOOM_RANK_MAX)
        return fail_value(f, "space dimension", value);
    return set_space(f, (unsigned)dimension);
}

/* "(x,y,z)", with spaces anywhere; false if it is anything else. */
static bool parse_vector(char **at, double *vector, unsigned count) {
    char *next = *at;
    for (unsigned i = 0; i < count; i++) {
        while (isspace((unsigned char)*next))
            next++;
        if (*next++ != (i == 0 ? '(' : ',')) return false;
        char *end;
        vector[i] = strtod(next, &end);
        if (end == next) return false;
        next = end;
    }
    while (isspace((unsigned char)*next))
        next++;
    *at = next + 1;
    return *next == ')';
}

static bool is_rest_empty(const char *text) {
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

static loom_status read_directions(fields *f, char *value) {
    char *at = value;
    for (unsigned i = 0; i < f->nrrd->axes; i++) {
        loom_nrrd_axis *axis = &f->nrrd->axis[i];
        while (isspace((unsigned char)*at))
            at++;
        axis->has_direction = strncmp(at, "none", 4) != 0;
        if (!axis->has_direction)
            at += 4;
        else if (!parse_vector(&at, axis->direction, f->nrrd->space))
            return fail_value(f, "space directions", value);
    }
    return is_rest_empty(at) ? LOOM_OK : fail_value(f, "space directions", value);
}

static loom_status read_origin(fields *f, char *value) {
    char *at = value;
    f->nrrd->has_origin = true;
    if (parse_vector(&at, f->nrrd->origin, f->nrrd->space) && is_rest_empty(at)) return LOOM_OK;
    return fail_value(f, "space origin", value);
}

/* ---- all of it ---- */

/* Fields of one group are names for one thing. */
static const struct {
    const char *name;
    unsigned group;
    bool needs_axes, needs_space;
    reader *read;
} known[] = {{"dimension", 0, false, false, read_dimension},
             {"type", 1, false, false, read_type},
             {"encoding", 2, false, false, read_encoding},
             {"endian", 3, false, false, read_endian},
             {"sizes", 4, true, false, read_sizes},
             {"spacings", 5, true, false, read_spacings},
             {"axis mins", 6, true, false, read_mins},
             {"axismins", 6, true, false, read_mins},
             {"axis maxs", 7, true, false, read_maxs},
             {"axismaxs", 7, true, false, read_maxs},
             {"centers", 8, true, false, read_centers},
             {"centerings", 8, true, false, read_centers},
             {"kinds", 9, true, false, read_kinds},
             {"space", 10, false, false, read_space},
             {"space dimension", 10, false, false, read_space_dimension},
             {"space directions", 11, true, true, read_directions},
             {"space origin", 12, false, true, read_origin},
             {"line skip", 13, false, false, read_line_skip},
             {"lineskip", 13, false, false, read_line_skip},
             {"byte skip", 14, false, false, read_byte_skip},
             {"byteskip", 14, false, false, read_byte_skip},
             {"data file", 15, false, false, read_data},
             {"datafile", 15, false, false, read_data}};

static loom_status read_field(fields *f, char *line) {
    char *colon = strchr(line, ':');
    if (!colon)
        return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header has a line without ':': %.60s; the header is damaged",
                         f->name, line);
    if (colon[1] == '=') return LOOM_OK; /* key:=value, for other programs */
    *colon = '\0';
    char *field = loom_trim(line), *value = loom_trim(colon + 1);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(field, known[i].name) != 0) continue;
        if (f->seen & 1u << known[i].group)
            return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header says %s twice; remove one", f->name, field);
        if ((known[i].needs_axes && f->nrrd->axes == 0) || (known[i].needs_space && f->nrrd->space == 0))
            return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header says %s before %s; put that first", f->name, field,
                             f->nrrd->axes == 0 ? "dimension" : "space");
        f->seen |= 1u << known[i].group;
        return known[i].read(f, value);
    }
    return LOOM_OK;
}

/* A list of files is the last field: names follow it. */
static bool ends_header(const loom_nrrd *nrrd) {
    return nrrd->data && strncmp(nrrd->data, "LIST", 4) == 0 &&
           (nrrd->data[4] == '\0' || isspace((unsigned char)nrrd->data[4]));
}

loom_status loom_nrrd_parse(loom_text *text, const char *name, loom_nrrd *nrrd, loom_error *err) {
    *nrrd = (loom_nrrd){0};
    fields f = {.name = name, .nrrd = nrrd, .err = err};
    (void)loom_text_line(text); /* the magic */
    char *line = NULL;
    while (!ends_header(nrrd) && (line = loom_text_line(text)) != NULL && *line != '\0')
        if (*line != '#') LOOM_TRY(read_field(&f, line));
    const unsigned needed = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4;
    if (!line && !nrrd->data)
        return loom_fail(err, LOOM_BAD_INPUT,
                         "%s: its header does not end with an empty line; get a complete copy of the file", name);
    if ((f.seen & needed) != needed)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header lacks dimension, type, sizes or encoding; add it", name);
    if (loom_dtype_bytes((uint8_t)nrrd->dtype) > 1 && !(f.seen & 1u << 3))
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header does not say endian; add endian: little or big", name);
    return LOOM_OK;
}

/* ---- writing ---- */

typedef struct writer {
    char *text;
    size_t length;
} writer;

static void put(writer *w, const char *text) {
    size_t length = strlen(text), room = LOOM_NRRD_TEXT_BYTES - w->length;
    memcpy(w->text + w->length, text, length < room ? length : room);
    w->length += length < room ? length : room;
}

static void put_number(writer *w, double number) {
    char text[LOOM_NUMBER_BYTES];
    put(w, loom_number_text(number, text));
}

static void put_vector(writer *w, const double *numbers, size_t stride, size_t count, double factor) {
    for (size_t i = 0; i < count; i++) {
        put(w, i == 0 ? "(" : ",");
        put_number(w, numbers[i * stride] * factor);
    }
    put(w, ")");
}

static const char *type_name(uint8_t dtype) {
    static const char *const names[] = {[LOOM_BOOL8] = "unsigned char",
                                        [LOOM_U8] = "unsigned char",
                                        [LOOM_I8] = "signed char",
                                        [LOOM_U16] = "unsigned short",
                                        [LOOM_I16] = "short",
                                        [LOOM_U32] = "unsigned int",
                                        [LOOM_I32] = "int",
                                        [LOOM_U64] = "unsigned long long",
                                        [LOOM_I64] = "long long int",
                                        [LOOM_F32] = "float",
                                        [LOOM_F64] = "double"};
    return names[dtype];
}

static void put_kinds(writer *w, const loom_image_header *image) {
    bool colour = image->dtype == LOOM_U8;
    put(w, "kinds:");
    if (image->components > 1)
        put(w, colour && image->components == 3   ? " RGB-color"
               : colour && image->components == 4 ? " RGBA-color"
                                                  : " vector");
    for (unsigned axis = 0; axis < image->rank; axis++)
        put(w, " domain");
}

size_t loom_nrrd_format(const loom_image_header *image, const char *data, char text[LOOM_NRRD_TEXT_BYTES]) {
    writer w = {.text = text};
    bool vector = image->components > 1;
    put(&w, "NRRD0004\n# Complete NRRD file format specification at:\n# "
            "http://teem.sourceforge.net/nrrd/format.html\ntype: ");
    put(&w, type_name(image->dtype));
    put(&w, "\ndimension: ");
    put_number(&w, image->rank + (vector ? 1.0 : 0.0));
    put(&w, image->rank == 3 ? "\nspace: left-posterior-superior\nsizes:" : "\nspace dimension: ");
    if (image->rank != 3) {
        put_number(&w, image->rank);
        put(&w, "\nsizes:");
    }
    if (vector) {
        put(&w, " ");
        put_number(&w, image->components);
    }
    for (unsigned axis = 0; axis < image->rank; axis++) {
        put(&w, " ");
        put_number(&w, (double)image->size[axis]);
    }
    put(&w, vector ? "\nspace directions: none" : "\nspace directions:");
    for (unsigned axis = 0; axis < image->rank; axis++) {
        put(&w, " ");
        put_vector(&w, image->direction + axis, LOOM_RANK_MAX, image->rank, image->spacing[axis]);
    }
    put(&w, "\n");
    put_kinds(&w, image);
    put(&w, "\nendian: little\nencoding: raw\nspace origin: ");
    put_vector(&w, image->origin, 1, image->rank, 1.0);
    if (data) {
        put(&w, "\ndata file: ");
        put(&w, data);
    }
    put(&w, data ? "\n" : "\n\n");
    return w.length;
}
