/* number.h - doubles as text, exactly as Python writes and reads them, whatever the locale. */
#ifndef LOOM_SHM_NUMBER_H
#define LOOM_SHM_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_NUMBER_TEXT_BYTES 40

/* Python's repr of a double: shortest digits that round-trip (std::to_chars; R. Adams, "Ryu", PLDI 2018), fixed
 * notation for exponents -4..15 with at least one digit after the point, else d.ddde+XX; "inf", "-inf", "nan". Returns
 * the length. */
size_t loom_number_repr(double value, char text[LOOM_NUMBER_TEXT_BYTES]);

/* Reads a whole decimal literal ("5.", ".5", "-3", "+2", "1e-3"); out-of-range gives infinity or 0 as Python's float()
 * does. False unless all `length` bytes are one number. */
bool loom_number_parse(const char *text, size_t length, double *value);

#ifdef __cplusplus
}
#endif
#endif
