/* dicom_maker.c - DICOM files for tests. */
#include "dicom_maker.h"

#include <stdio.h>
#include <string.h>

static size_t put16(unsigned char *at, unsigned value) {
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
    return 2;
}

static size_t put32(unsigned char *at, uint32_t value) {
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16);
    return 4;
}

/* Values have an even length: text is padded with a space, an identifier and bytes with zero. */
static size_t put_element(unsigned char *at, unsigned group, unsigned element, const char *vr, const void *value,
                          size_t length) {
    bool is_long = strcmp(vr, "OW") == 0 || strcmp(vr, "OB") == 0;
    size_t padded = length + (length & 1), head = 8;
    put16(at, group);
    put16(at + 2, element);
    memcpy(at + 4, vr, 2);
    if (is_long) {
        put16(at + 6, 0);
        put32(at + 8, (uint32_t)padded);
        head = 12;
    } else {
        put16(at + 6, (unsigned)padded);
    }
    memcpy(at + head, value, length);
    if (length & 1) at[head + length] = strcmp(vr, "UI") == 0 || is_long ? 0 : ' ';
    return head + padded;
}

static size_t put_text(unsigned char *at, unsigned group, unsigned element, const char *vr, const char *text) {
    return text ? put_element(at, group, element, vr, text, strlen(text)) : 0;
}

static size_t put_short(unsigned char *at, unsigned group, unsigned element, unsigned value) {
    unsigned char bytes[2];
    put16(bytes, value);
    return put_element(at, group, element, "US", bytes, 2);
}

dicom_recipe dicom_slice(const void *pixels, size_t bytes) {
    return (dicom_recipe){.series = "1.2.3.4",
                          .position = "-10.5\\20\\30",
                          .orientation = "1\\0\\0\\0\\1\\0",
                          .spacing = "0.75\\0.5", /* rows first: y, then x */
                          .intercept = "-1024",
                          .slope = "1",
                          .colours = "MONOCHROME2",
                          .rows = 2,
                          .columns = 3,
                          .samples = 1,
                          .bits = 16,
                          .stored = 12,
                          .number = 1,
                          .pixels = pixels,
                          .pixels_bytes = bytes};
}

size_t dicom_make(const dicom_recipe *recipe, unsigned char file[4096]) {
    static const char ct[] = "1.2.840.10008.5.1.4.1.1.2", explicit_little[] = "1.2.840.10008.1.2.1";
    char instance[64], number[16];
    snprintf(instance, sizeof instance, "1.2.3.%d", recipe->number);
    snprintf(number, sizeof number, "%d", recipe->number);
    memset(file, 0, 4096);
    memcpy(file + 128, "DICM", 4);
    unsigned char *meta = file + 132, *at = meta + 12;
    at += put_element(at, 2, 1, "OB", "\0\1", 2);
    at += put_text(at, 2, 2, "UI", ct);
    at += put_text(at, 2, 3, "UI", instance);
    at += put_text(at, 2, 0x10, "UI", explicit_little);
    unsigned char length[4];
    put32(length, (uint32_t)(at - meta - 12));
    put_element(meta, 2, 0, "UL", length, 4);
    at += put_text(at, 8, 0x16, "UI", ct);
    at += put_text(at, 8, 0x18, "UI", instance);
    at += put_text(at, 8, 0x60, "CS", "CT");
    at += put_text(at, 0x18, 0x50, "DS", recipe->thickness);
    at += put_text(at, 0x20, 0x0d, "UI", "1.2.3");
    at += put_text(at, 0x20, 0x0e, "UI", recipe->series);
    at += put_text(at, 0x20, 0x13, "IS", number);
    at += put_text(at, 0x20, 0x32, "DS", recipe->position);
    at += put_text(at, 0x20, 0x37, "DS", recipe->orientation);
    at += put_short(at, 0x28, 2, recipe->samples);
    at += put_text(at, 0x28, 4, "CS", recipe->colours);
    if (recipe->samples > 1) at += put_short(at, 0x28, 6, recipe->in_planes);
    at += put_short(at, 0x28, 0x10, recipe->rows);
    at += put_short(at, 0x28, 0x11, recipe->columns);
    at += put_text(at, 0x28, 0x30, "DS", recipe->spacing);
    at += put_short(at, 0x28, 0x100, recipe->bits);
    at += put_short(at, 0x28, 0x101, recipe->stored);
    at += put_short(at, 0x28, 0x102, recipe->stored - 1u);
    at += put_short(at, 0x28, 0x103, recipe->is_signed);
    at += put_text(at, 0x28, 0x1052, "DS", recipe->intercept);
    at += put_text(at, 0x28, 0x1053, "DS", recipe->slope);
    at += put_element(at, 0x7fe0, 0x10, recipe->bits > 8 ? "OW" : "OB", recipe->pixels, recipe->pixels_bytes);
    return (size_t)(at - file);
}
