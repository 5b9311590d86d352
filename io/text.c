/* text.c - lines, words and numbers of text headers. */
#include "io/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

loom_status loom_text_open(const loom_input *input, loom_text *text, loom_error *err) {
    *text = (loom_text){0};
    size_t capacity = input->bytes < LOOM_TEXT_BYTES_MAX ? (size_t)input->bytes : LOOM_TEXT_BYTES_MAX;
    text->bytes = malloc(capacity + 1);
    if (!text->bytes) return loom_fail(err, LOOM_NO_MEMORY, "no memory to read %s", input->path);
    loom_status status = loom_input_read(input, text->bytes, capacity, 0, &text->length, err);
    if (status != LOOM_OK) loom_text_close(text);
    text->whole = text->length == input->bytes;
    return status;
}

void loom_text_close(loom_text *text) {
    free(text->bytes);
    text->bytes = NULL;
}

char *loom_text_line(loom_text *text) {
    if (text->at >= text->length) return NULL;
    char *line = text->bytes + text->at;
    char *end = memchr(line, '\n', text->length - text->at);
    if (!end && !text->whole) return NULL;
    size_t length = end ? (size_t)(end - line) : text->length - text->at;
    if (memchr(line, '\0', length)) return NULL;
    text->at += length + (end ? 1 : 0);
    line[length] = '\0'; /* one byte more than was read was allocated */
    if (length > 0 && line[length - 1] == '\r') line[length - 1] = '\0';
    return line;
}

char *loom_trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

char *loom_next_word(char **rest) {
    char *word = *rest;
    while (isspace((unsigned char)*word))
        word++;
    if (*word == '\0') return NULL;
    char *end = word;
    while (*end != '\0' && !isspace((unsigned char)*end))
        end++;
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

bool loom_parse_numbers(const char *text, double *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *end;
        numbers[i] = strtod(text, &end);
        if (end == text || (*end != '\0' && !isspace((unsigned char)*end))) return false;
        text = end;
    }
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

bool loom_parse_counts(const char *text, uint64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        while (isspace((unsigned char)*text))
            text++;
        char *end;
        if (!isdigit((unsigned char)*text)) return false;
        errno = 0;
        numbers[i] = strtoull(text, &end, 10);
        if (errno != 0 || numbers[i] > (uint64_t)1 << 47 || (*end != '\0' && !isspace((unsigned char)*end)))
            return false;
        text = end;
    }
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

const char *loom_number_text(double number, char text[LOOM_NUMBER_BYTES]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, LOOM_NUMBER_BYTES, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    return text;
}
