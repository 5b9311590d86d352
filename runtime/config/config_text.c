/* config_text.c - settings from text and to text: sizes with units, bounds, and what an error says is allowed. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/config_keys.h"
#include "runtime/config/config_paths.h"

static const struct unit {
    const char *name;
    unsigned shift;
} units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"T", 40},
             {"G", 30},   {"M", 20},   {"K", 10},   {"B", 0},    {"", 0}};
enum { UNIT_COUNT = sizeof units / sizeof units[0], LONG_UNIT_COUNT = 4 };

/* The number that the text begins with, and the unit behind it, after at most one space. */
static bool parse_number(const char *text, uint64_t *number, const char **unit) {
    if (text[0] < '0' || text[0] > '9') return false;
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno != 0) return false;
    if (*end == ' ' && end[1] != '\0') end++;
    *unit = end;
    return true;
}

bool loom_size_parse(const char *text, uint64_t *bytes) {
    uint64_t number;
    const char *unit;
    if (!parse_number(text, &number, &unit)) return false;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strcmp(unit, units[i].name) != 0) continue;
        if (number > (uint64_t)INT64_MAX >> units[i].shift) return false;
        *bytes = number << units[i].shift;
        return true;
    }
    return false;
}

void loom_size_text(uint64_t bytes, char text[LOOM_SIZE_TEXT_BYTES]) {
    for (size_t i = 0; i < LONG_UNIT_COUNT && bytes != 0; i++) {
        if (bytes % (UINT64_C(1) << units[i].shift) != 0) continue;
        snprintf(text, LOOM_SIZE_TEXT_BYTES, "%" PRIu64 "%s", bytes >> units[i].shift, units[i].name);
        return;
    }
    snprintf(text, LOOM_SIZE_TEXT_BYTES, "%" PRIu64, bytes);
}

static const struct {
    const char *name;
    uint64_t seconds;
} durations[] = {{"w", 604800}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"min", 60}, {"s", 1}, {"", 1}};
enum { DURATION_COUNT = sizeof durations / sizeof durations[0] };
static const uint64_t duration_max = UINT64_C(365250) * 86400; /* a thousand years */

bool loom_duration_parse(const char *text, uint64_t *seconds) {
    uint64_t number;
    const char *unit;
    if (!parse_number(text, &number, &unit)) return false;
    for (size_t i = 0; i < DURATION_COUNT; i++) {
        if (strcmp(unit, durations[i].name) != 0) continue;
        if (number > duration_max / durations[i].seconds) return false;
        *seconds = number * durations[i].seconds;
        return true;
    }
    return false;
}

void loom_duration_text(uint64_t seconds, char text[LOOM_DURATION_TEXT_BYTES]) {
    for (size_t i = 1; i < DURATION_COUNT && seconds != 0; i++) { /* weeks are read, not written: 30d, not 4w */
        if (seconds % durations[i].seconds != 0) continue;
        snprintf(text, LOOM_DURATION_TEXT_BYTES, "%" PRIu64 "%s", seconds / durations[i].seconds, durations[i].name);
        return;
    }
    snprintf(text, LOOM_DURATION_TEXT_BYTES, "%" PRIu64, seconds);
}

/* ---- what a key takes ---- */

/* snprintf onto the end of what is there. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t capacity, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
}

static void describe_choices(const char *const *choices, char *text, size_t capacity) {
    for (size_t i = 0; choices[i] != NULL; i++) {
        const char *separator = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        append(text, capacity, "%s\"%s\"", separator, choices[i]);
    }
}

static void describe_size(const loom_config_key *key, char *text, size_t capacity) {
    char least[LOOM_SIZE_TEXT_BYTES], most[LOOM_SIZE_TEXT_BYTES];
    loom_size_text(key->min, least);
    loom_size_text(key->max, most);
    append(text, capacity, "a size from %s to %s, as a number of bytes or as text such as \"%s\"", least, most, least);
    if (key->multiple != 0) append(text, capacity, ", a multiple of %" PRIu64, key->multiple);
}

static void describe_duration(const loom_config_key *key, char *text, size_t capacity) {
    char least[LOOM_DURATION_TEXT_BYTES], most[LOOM_DURATION_TEXT_BYTES];
    loom_duration_text(key->min, least);
    loom_duration_text(key->max, most);
    append(text, capacity,
           "a time from %s to %s, as a number of seconds or as text such as \"30d\", \"12h\" or \"90m\"", least, most);
}

void loom_config_describe(const loom_config_key *key, char *text, size_t capacity) {
    text[0] = '\0';
    switch (key->type) {
    case LOOM_KEY_BOOL:
        append(text, capacity, "true or false");
        break;
    case LOOM_KEY_COUNT:
        append(text, capacity, "an integer from %" PRIu64 " to %" PRIu64, key->min, key->max);
        break;
    case LOOM_KEY_SIZE:
        describe_size(key, text, capacity);
        break;
    case LOOM_KEY_DURATION:
        describe_duration(key, text, capacity);
        break;
    case LOOM_KEY_PATH:
        append(text, capacity, "a path, as text");
        break;
    case LOOM_KEY_PATHS:
        append(text, capacity, "paths, as an array of texts, or as one text with ':' between them");
        break;
    case LOOM_KEY_SECRET:
        append(text, capacity, "\"file:PATH\", \"env:NAME\" or \"fd:NUMBER\"");
        break;
    case LOOM_KEY_CHOICE:
        describe_choices(key->choices, text, capacity);
        break;
    }
    if (key->zero_means != NULL) append(text, capacity, ", or 0: %s", key->zero_means);
}

static loom_status refuse(const loom_config_key *key, const char *problem, loom_error *err) {
    char allowed[320];
    loom_config_describe(key, allowed, sizeof allowed);
    return loom_fail(err, LOOM_BAD_CONFIG, "%s %s; it takes %s", key->name, problem, allowed);
}

/* ---- setting ---- */

static void *field_of(loom_config *config, const loom_config_key *key) {
    return (char *)config + key->offset;
}

static const void *field_of_const(const loom_config *config, const loom_config_key *key) {
    return (const char *)config + key->offset;
}

static loom_status set_number(loom_config *config, const loom_config_key *key, uint64_t value, loom_error *err) {
    bool special = value == 0 && key->zero_means != NULL;
    if (!special && (value < key->min || value > key->max)) {
        char problem[64];
        snprintf(problem, sizeof problem, "= %" PRIu64 " is out of bounds", value);
        return refuse(key, problem, err);
    }
    if (key->multiple != 0 && value % key->multiple != 0) {
        char problem[96];
        snprintf(problem, sizeof problem, "= %" PRIu64 " is not a multiple of %" PRIu64, value, key->multiple);
        return refuse(key, problem, err);
    }
    memcpy(field_of(config, key), &value, sizeof value);
    return LOOM_OK;
}

static loom_status set_choice(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) != 0) continue;
        memcpy(field_of(config, key), &i, sizeof i);
        return LOOM_OK;
    }
    char problem[128];
    snprintf(problem, sizeof problem, "= \"%.80s\" is not known", text);
    return refuse(key, problem, err);
}

static loom_status set_path(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    char *field = field_of(config, key);
    const char *home = getenv("HOME");
    bool at_home = strncmp(text, "~/", 2) == 0 && home != NULL;
    int length = at_home ? snprintf(field, LOOM_PATH_BYTES, "%s%s", home, text + 1)
                         : snprintf(field, LOOM_PATH_BYTES, "%s", text);
    if (length < 0 || length >= LOOM_PATH_BYTES) return refuse(key, "is longer than a path can be", err);
    return LOOM_OK;
}

loom_status loom_config_set_array(loom_config *config, const loom_config_key *key, const char *texts, size_t count,
                                  loom_error *err) {
    if (key->type != LOOM_KEY_PATHS) return refuse(key, "cannot be an array", err);
    const char *problem = loom_paths_from_array(field_of(config, key), texts, count);
    return problem == NULL ? LOOM_OK : refuse(key, problem, err);
}

static loom_status set_paths(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    const char *problem = loom_paths_from_text(field_of(config, key), text);
    return problem == NULL ? LOOM_OK : refuse(key, problem, err);
}

static bool is_number(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 10 && text[digits] == '\0';
}

/* What is wrong with the source of a secret; NULL: nothing. */
static const char *source_problem(const char *text) {
    if (text[0] == '\0') return NULL;
    if (strncmp(text, "file:", 5) == 0) return text[5] != '\0' ? NULL : "names no file";
    if (strncmp(text, "fd:", 3) == 0) return is_number(text + 3) ? NULL : "names no file descriptor";
    if (strncmp(text, "env:", 4) == 0)
        return text[4] != '\0' && strchr(text, '=') == NULL ? NULL : "names no environment variable";
    return "does not say where the key comes from (and is not shown here, lest it is the key)";
}

static loom_status set_secret(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    const char *problem = source_problem(text);
    if (problem != NULL) return refuse(key, problem, err);
    const char *home = getenv("HOME");
    bool at_home = strncmp(text, "file:~/", 7) == 0 && home != NULL;
    int length = at_home ? snprintf(field_of(config, key), LOOM_PATH_BYTES, "file:%s%s", home, text + 6)
                         : snprintf(field_of(config, key), LOOM_PATH_BYTES, "%s", text);
    if (length < 0 || length >= LOOM_PATH_BYTES) return refuse(key, "is longer than a path can be", err);
    return LOOM_OK;
}

loom_status loom_config_set_bool(loom_config *config, const loom_config_key *key, bool value, loom_error *err) {
    if (key->type != LOOM_KEY_BOOL) return refuse(key, "cannot be a boolean", err);
    memcpy(field_of(config, key), &value, sizeof value);
    return LOOM_OK;
}

loom_status loom_config_set_integer(loom_config *config, const loom_config_key *key, int64_t value, loom_error *err) {
    bool takes = key->type == LOOM_KEY_COUNT || key->type == LOOM_KEY_SIZE || key->type == LOOM_KEY_DURATION;
    if (!takes) return refuse(key, "cannot be an integer", err);
    if (value < 0) return refuse(key, "is negative", err);
    return set_number(config, key, (uint64_t)value, err);
}

loom_status loom_config_set_string(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    uint64_t bytes = 0, seconds = 0;
    switch (key->type) {
    case LOOM_KEY_PATH:
        return set_path(config, key, text, err);
    case LOOM_KEY_PATHS:
        return set_paths(config, key, text, err);
    case LOOM_KEY_SECRET:
        return set_secret(config, key, text, err);
    case LOOM_KEY_DURATION:
        if (!loom_duration_parse(text, &seconds)) return refuse(key, "is not a time", err);
        return set_number(config, key, seconds, err);
    case LOOM_KEY_CHOICE:
        return set_choice(config, key, text, err);
    case LOOM_KEY_SIZE:
        if (!loom_size_parse(text, &bytes)) return refuse(key, "is not a size", err);
        return set_number(config, key, bytes, err);
    default:
        return refuse(key, "cannot be text", err);
    }
}

static loom_status set_count_text(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0) return refuse(key, "is not an integer", err);
    return loom_config_set_integer(config, key, value, err);
}

loom_status loom_config_set_text(loom_config *config, const loom_config_key *key, const char *text, loom_error *err) {
    /* --set 'store.path="x"' is TOML, --set store.path=x is what people type: both are taken. */
    char unquoted[LOOM_PATH_BYTES];
    size_t length = strlen(text);
    if (length >= 2 && length - 2 < sizeof unquoted && text[0] == '"' && text[length - 1] == '"') {
        memcpy(unquoted, text + 1, length - 2);
        unquoted[length - 2] = '\0';
        text = unquoted;
    }
    if (key->type == LOOM_KEY_COUNT) return set_count_text(config, key, text, err);
    if (key->type != LOOM_KEY_BOOL) return loom_config_set_string(config, key, text, err);
    if (strcmp(text, "true") == 0) return loom_config_set_bool(config, key, true, err);
    if (strcmp(text, "false") == 0) return loom_config_set_bool(config, key, false, err);
    return refuse(key, "is neither", err);
}

/* ---- getting ---- */

/* A TOML basic string: quotes, backslashes and control characters are escaped. */
void loom_config_quote(const char *source, char *text, size_t capacity) {
    text[0] = '\0';
    append(text, capacity, "\"");
    for (const char *at = source; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\')
            append(text, capacity, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            append(text, capacity, "\\u%04X", byte);
        else
            append(text, capacity, "%c", byte);
    }
    append(text, capacity, "\"");
}

loom_status loom_config_get_text(const loom_config *config, const loom_config_key *key, char *text, size_t capacity) {
    const void *field = field_of_const(config, key);
    uint64_t number = 0;
    int choice = 0;
    char size[LOOM_SIZE_TEXT_BYTES], duration[LOOM_DURATION_TEXT_BYTES];
    if (capacity < LOOM_CONFIG_TEXT_BYTES) return LOOM_TOO_LARGE;
    text[0] = '\0';
    switch (key->type) {
    case LOOM_KEY_BOOL:
        append(text, capacity, "%s", *(const bool *)field ? "true" : "false");
        break;
    case LOOM_KEY_COUNT:
        memcpy(&number, field, sizeof number);
        append(text, capacity, "%" PRIu64, number);
        break;
    case LOOM_KEY_SIZE:
        memcpy(&number, field, sizeof number);
        loom_size_text(number, size);
        if (strchr(size, 'B') != NULL)
            loom_config_quote(size, text, capacity);
        else
            append(text, capacity, "%s", size);
        break;
    case LOOM_KEY_DURATION:
        memcpy(&number, field, sizeof number);
        loom_duration_text(number, duration);
        if (number != 0)
            loom_config_quote(duration, text, capacity);
        else
            append(text, capacity, "0");
        break;
    case LOOM_KEY_PATH:
    case LOOM_KEY_SECRET:
        loom_config_quote(field, text, capacity);
        break;
    case LOOM_KEY_PATHS:
        loom_paths_text(field, text, capacity);
        break;
    case LOOM_KEY_CHOICE:
        memcpy(&choice, field, sizeof choice);
        append(text, capacity, "\"%s\"", key->choices[choice]);
        break;
    }
    return LOOM_OK;
}
