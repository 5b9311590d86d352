/* header.c - keys and values of a MetaImage header. Keys that say nothing about voxels or geometry are passed over. */
#include "io/metaimage/header.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* MET_LONG has four bytes: MetaIO was made when it had. */
static const struct {
    const char *name;
    loom_dtype dtype;
} types[] = {{"MET_CHAR", LOOM_I8},        {"MET_UCHAR", LOOM_U8},  {"MET_SHORT", LOOM_I16},
             {"MET_USHORT", LOOM_U16},     {"MET_INT", LOOM_I32},   {"MET_UINT", LOOM_U32},
             {"MET_LONG", LOOM_I32},       {"MET_ULONG", LOOM_U32}, {"MET_LONG_LONG", LOOM_I64},
             {"MET_ULONG_LONG", LOOM_U64}, {"MET_FLOAT", LOOM_F32}, {"MET_DOUBLE", LOOM_F64}};

#define TYPES (sizeof types / sizeof types[0])

/* ---- which files are MetaImages ---- */

/* A line "Word = ..." beginning at `at`; sets the length of the word and the begin of the next line. */
static bool key_at(const uint8_t *start, size_t length, size_t at, size_t *key, size_t *next) {
    size_t end = at;
    while (end < length && isalpha(start[end]))
        end++;
    *key = end - at;
    while (end < length && (start[end] == ' ' || start[end] == '\t'))
        end++;
    if (*key == 0 || end == length || start[end] != '=') return false;
    const uint8_t *line = memchr(start + end, '\n', length - end);
    *next = line ? (size_t)(line - start) + 1 : length;
    return true;
}

/* Lines of the form "Key = value", and the number of dimensions among them. */
bool loom_metaimage_recognise(const uint8_t *start, size_t length) {
    size_t key, next;
    for (size_t at = 0; key_at(start, length, at, &key, &next); at = next)
        if (key == 5 && memcmp(start + at, "NDims", 5) == 0) return true;
    return false;
}

/* ---- reading ---- */

typedef struct fields {
    const char *name; /* of the file, for messages */
    loom_metaimage *meta;
    loom_error *err;
    unsigned seen; /* a bit for each row of `keys` */
    uint64_t axes;
    bool has_spacing;
} fields;

typedef loom_status reader(fields *f, char *value);

static loom_status fail_value(const fields *f, const char *what, const char *value) {
    return loom_fail(f->err, LOOM_BAD_INPUT,
                     "%s: its header says %s = %.60s, which makes no sense; the header is damaged", f->name, what,
                     value);
}

static loom_status read_object(fields *f, char *value) {
    if (strcmp(value, "Image") == 0) return LOOM_OK;
    return loom_fail(f->err, LOOM_UNSUPPORTED, "%s: holds a MetaIO object of type %.40s; only images are read", f->name,
                     value);
}

static loom_status read_dimensions(fields *f, char *value) {
    const uint64_t unit[LOOM_RANK_MAX] = {1, 1, 1, 1};
    if (!loom_parse_counts(value, &f->axes, 1)) return fail_value(f, "NDims", value);
    if (f->axes < 2 || f->axes > LOOM_RANK_MAX)
        return loom_fail(f->err, LOOM_UNSUPPORTED, "%s: has %llu axes; images have two to four", f->name,
                         (unsigned long long)f->axes);
    f->meta->image = loom_image_header_make(LOOM_U8, (unsigned)f->axes, unit);
    return LOOM_OK;
}

static loom_status read_sizes(fields *f, char *value) {
    if (!loom_parse_counts(value, f->meta->image.size, f->axes)) return fail_value(f, "DimSize", value);
    return LOOM_OK;
}

static loom_status read_spacing(fields *f, char *value) {
    f->has_spacing = true;
    if (!loom_parse_numbers(value, f->meta->image.spacing, f->axes)) return fail_value(f, "ElementSpacing", value);
    return LOOM_OK;
}

/* Counts for the spacing if there is no other. */
static loom_status read_element_size(fields *f, char *value) {
    double ignored[LOOM_RANK_MAX];
    double *numbers = f->has_spacing ? ignored : f->meta->image.spacing;
    if (!loom_parse_numbers(value, numbers, f->axes)) return fail_value(f, "ElementSize", value);
    return LOOM_OK;
}

static loom_status read_origin(fields *f, char *value) {
    if (!loom_parse_numbers(value, f->meta->image.origin, f->axes)) return fail_value(f, "Offset", value);
    return LOOM_OK;
}

/* The file has the direction of one axis after the other: the columns of ITK's matrix. */
static loom_status read_matrix(fields *f, char *value) {
    double numbers[LOOM_RANK_MAX * LOOM_RANK_MAX];
    if (!loom_parse_numbers(value, numbers, f->axes * f->axes)) return fail_value(f, "TransformMatrix", value);
    for (size_t axis = 0; axis < f->axes; axis++)
        for (size_t row = 0; row < f->axes; row++)
            f->meta->image.direction[row * LOOM_RANK_MAX + axis] = numbers[axis * f->axes + row];
    return LOOM_OK;
}

static loom_status read_channels(fields *f, char *value) {
    uint64_t channels;
    if (!loom_parse_counts(value, &channels, 1) || channels < 1 || channels > UINT16_MAX)
        return fail_value(f, "ElementNumberOfChannels", value);
    f->meta->image.components = (uint16_t)channels;
    return LOOM_OK;
}

static loom_status read_type(fields *f, char *value) {
    size_t length = strlen(value);
    if (length > 6 && strcmp(value + length - 6, "_ARRAY") == 0) length -= 6;
    for (size_t i = 0; i < TYPES; i++)
        if (strlen(types[i].name) == length && strncmp(value, types[i].name, length) == 0) {
            f->meta->image.dtype = (uint8_t)types[i].dtype;
            return LOOM_OK;
        }
    return loom_fail(f->err, LOOM_UNSUPPORTED,
                     "%s: has voxels of type %.40s, which is not supported; save it as MET_FLOAT", f->name, value);
}

static loom_status read_flag(fields *f, const char *key, const char *value, bool *flag) {
    if (strcasecmp(value, "True") == 0 || strcmp(value, "1") == 0)
        *flag = true;
    else if (strcasecmp(value, "False") == 0 || strcmp(value, "0") == 0)
        *flag = false;
    else
        return fail_value(f, key, value);
    return LOOM_OK;
}

static loom_status read_binary(fields *f, char *value) {
    bool binary = true;
    LOOM_TRY(read_flag(f, "BinaryData", value, &binary));
    f->meta->text = !binary;
    return LOOM_OK;
}

static loom_status read_order(fields *f, char *value) {
    return read_flag(f, "BinaryDataByteOrderMSB", value, &f->meta->swapped);
}

static loom_status read_compressed(fields *f, char *value) {
    return read_flag(f, "CompressedData", value, &f->meta->compressed);
}

static loom_status read_header_size(fields *f, char *value) {
    f->meta->header_is_rest = strcmp(value, "-1") == 0;
    if (!f->meta->header_is_rest && !loom_parse_counts(value, &f->meta->header_size, 1))
        return fail_value(f, "HeaderSize", value);
    return LOOM_OK;
}

static loom_status read_data(fields *f, char *value) {
    f->meta->data = value;
    return LOOM_OK;
}

/* Keys of one group are names for one thing. */
static const struct {
    const char *key;
    unsigned group;
    bool needs_axes;
    reader *read;
} keys[] = {{"ObjectType", 0, false, read_object},
            {"NDims", 1, false, read_dimensions},
            {"DimSize", 2, true, read_sizes},
            {"ElementType", 3, true, read_type},
            {"ElementSpacing", 4, true, read_spacing},
            {"ElementSize", 5, true, read_element_size},
            {"Offset", 6, true, read_origin},
            {"Position", 6, true, read_origin},
            {"Origin", 6, true, read_origin},
            {"TransformMatrix", 7, true, read_matrix},
            {"Rotation", 7, true, read_matrix},
            {"Orientation", 7, true, read_matrix},
            {"ElementNumberOfChannels", 8, true, read_channels},
            {"BinaryData", 9, false, read_binary},
            {"BinaryDataByteOrderMSB", 10, false, read_order},
            {"ElementByteOrderMSB", 10, false, read_order},
            {"CompressedData", 11, false, read_compressed},
            {"HeaderSize", 12, false, read_header_size},
            {"ElementDataFile", 13, false, read_data}};

static loom_status read_line(fields *f, char *line) {
    char *equals = strchr(line, '=');
    if (!equals)
        return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header has a line without '=': %.60s; the header is damaged",
                         f->name, line);
    *equals = '\0';
    const char *key = loom_trim(line);
    char *value = loom_trim(equals + 1);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(key, keys[i].key) != 0) continue;
        if (f->seen & 1u << keys[i].group)
            return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header says %s twice; remove one", f->name, key);
        if (keys[i].needs_axes && f->axes == 0)
            return loom_fail(f->err, LOOM_BAD_INPUT, "%s: its header says %s before NDims; put NDims first", f->name,
                             key);
        f->seen |= 1u << keys[i].group;
        return keys[i].read(f, value);
    }
    return LOOM_OK;
}

loom_status loom_metaimage_parse(loom_text *text, const char *name, loom_metaimage *meta, loom_error *err) {
    *meta = (loom_metaimage){0};
    fields f = {.name = name, .meta = meta, .err = err};
    while (!meta->data) {
        char *line = loom_text_line(text);
        if (!line)
            return loom_fail(err, LOOM_BAD_INPUT,
                             "%s: its header ends before ElementDataFile; get a complete copy of the file", name);
        if (*loom_trim(line) != '\0') LOOM_TRY(read_line(&f, line));
    }
    const unsigned needed = 1u << 1 | 1u << 2 | 1u << 3;
    if ((f.seen & needed) != needed)
        return loom_fail(err, LOOM_BAD_INPUT, "%s: its header lacks NDims, DimSize or ElementType; add it", name);
    if (meta->text)
        return loom_fail(err, LOOM_UNSUPPORTED, "%s: has its voxels as text; save it with BinaryData = True", name);
    loom_error detail;
    loom_error_clear(&detail);
    loom_status status = loom_image_header_check(&meta->image, &detail);
    if (status == LOOM_OK) return LOOM_OK;
    return loom_fail(err, status == LOOM_TOO_LARGE ? status : LOOM_BAD_INPUT, "%s: %s", name, detail.message);
}

/* ---- writing ---- */

typedef struct writer {
    char *text;
    size_t length;
} writer;

static void put(writer *w, const char *text) {
    size_t length = strlen(text), room = LOOM_METAIMAGE_TEXT_BYTES - w->length;
    memcpy(w->text + w->length, text, length < room ? length : room);
    w->length += length < room ? length : room;
}

static void put_numbers(writer *w, const char *key, const double *numbers, size_t count) {
    char text[LOOM_NUMBER_BYTES];
    put(w, key);
    put(w, " =");
    for (size_t i = 0; i < count; i++) {
        put(w, " ");
        put(w, loom_number_text(numbers[i], text));
    }
    put(w, "\n");
}

static const char *type_name(uint8_t dtype) {
    if (dtype == LOOM_BOOL8) return "MET_UCHAR";
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].name;
    return "?";
}

size_t loom_metaimage_format(const loom_image_header *image, const char *data, char text[LOOM_METAIMAGE_TEXT_BYTES]) {
    writer w = {.text = text};
    double sizes[LOOM_RANK_MAX], matrix[LOOM_RANK_MAX * LOOM_RANK_MAX];
    const double rank = image->rank, components = image->components, zeros[LOOM_RANK_MAX] = {0};
    for (size_t axis = 0; axis < image->rank; axis++) {
        sizes[axis] = (double)image->size[axis];
        for (size_t row = 0; row < image->rank; row++)
            matrix[axis * image->rank + row] = image->direction[row * LOOM_RANK_MAX + axis];
    }
    put(&w, "ObjectType = Image\n");
    put_numbers(&w, "NDims", &rank, 1);
    put(&w, "BinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n");
    put_numbers(&w, "TransformMatrix", matrix, (size_t)image->rank * image->rank);
    put_numbers(&w, "Offset", image->origin, image->rank);
    put_numbers(&w, "CenterOfRotation", zeros, image->rank);
    put_numbers(&w, "ElementSpacing", image->spacing, image->rank);
    put_numbers(&w, "DimSize", sizes, image->rank);
    if (image->components > 1) put_numbers(&w, "ElementNumberOfChannels", &components, 1);
    put(&w, "ElementType = ");
    put(&w, type_name(image->dtype));
    put(&w, "\nElementDataFile = ");
    put(&w, data);
    put(&w, "\n");
    return w.length;
}
