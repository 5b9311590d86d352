/* text.h - the text headers of NRRD and MetaImage: their lines, and the numbers and words in them. */
#ifndef LOOM_IO_TEXT_H
#define LOOM_IO_TEXT_H

#include "io/input.h"

/* A longer header is refused: a list of ten thousand files fits. */
#define LOOM_TEXT_BYTES_MAX ((size_t)1 << 20)

/* The first bytes of a file, as lines. Every line is cut off in place when it is read. */
typedef struct loom_text {
    char *bytes;
    size_t length;
    size_t at;  /* where the next line begins: after the last line of a header, where the data does */
    bool whole; /* the bytes are all of the file */
} loom_text;

loom_status loom_text_open(const loom_input *input, loom_text *text, loom_error *err);
void loom_text_close(loom_text *text);
/* The next line without its end ("\n" or "\r\n"). NULL when no whole line is left (but the last line of a file needs no
 * end), or when it holds a zero byte: data, not text. */
char *loom_text_line(loom_text *text);

/* Without white space at both ends, in place. */
char *loom_trim(char *text);
/* Cuts the first word off: returns it, and moves *rest to what follows. NULL if there is none. */
char *loom_next_word(char **rest);
/* Numbers separated by white space; false if there is anything else, or not exactly `count` of them. */
bool loom_parse_numbers(const char *text, double *numbers, size_t count);
/* The same of decimal integers from 0 to 2^47. */
bool loom_parse_counts(const char *text, uint64_t *numbers, size_t count);
/* The shortest text that is read back as this number. */
#define LOOM_NUMBER_BYTES 32
const char *loom_number_text(double number, char text[LOOM_NUMBER_BYTES]);

#endif
