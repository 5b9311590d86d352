/* layout.c - walks over the elements of a DICOM file by their lengths (PS3.5, section 7; PS3.10, section 7). */
#include "io/dicom/layout.h"

#include <string.h>

#include "io/numbers.h"

#define PREAMBLE_BYTES 132u
#define UNDEFINED 0xffffffffu
#define DEPTH_MAX 32u

enum {
    ITEM = 0xfffee000u,
    ITEM_END = 0xfffee00du,
    SEQUENCE_END = 0xfffee0ddu,
    PIXELS = 0x7fe00010u,
    SYNTAX = 0x00020010u
};

typedef struct walker {
    const loom_input *input;
    loom_error *err;
    uint64_t at; /* of the next element */
    bool has_pixels;
    char syntax[65]; /* Transfer Syntax UID */
} walker;

typedef struct element {
    uint32_t tag, length;
    bool unknown; /* VR UN: what is in it has implicit VRs */
} element;

static loom_status fail_damaged(const walker *w, const char *what) {
    return loom_fail(w->err, LOOM_BAD_INPUT, "%s: the DICOM data %s at byte %llu; get a complete copy of the file",
                     w->input->path, what, (unsigned long long)w->at);
}

/* VRs whose length has 32 bits. */
static bool is_long(const uint8_t *vr) {
    static const char names[] = "OBOWOFODOLOVSQUCURUTUNSVUV";
    for (size_t i = 0; names[i] != '\0'; i += 2)
        if (memcmp(vr, names + i, 2) == 0) return true;
    return false;
}

/* Reads a tag and a length, and goes on to the value. */
static loom_status enter(walker *w, bool explicit_vr, element *e) {
    uint8_t head[12];
    size_t got, used = 8;
    *e = (element){0};
    LOOM_TRY(loom_input_read(w->input, head, sizeof head, w->at, &got, w->err));
    if (got < 8) return fail_damaged(w, "breaks off");
    *e = (element){.tag = (uint32_t)loom_le16(head) << 16 | loom_le16(head + 2), .length = loom_le32(head + 4)};
    if (explicit_vr && e->tag >> 16 != 0xfffe) {
        if (head[4] < 'A' || head[4] > 'Z' || head[5] < 'A' || head[5] > 'Z') return fail_damaged(w, "is damaged");
        e->unknown = memcmp(head + 4, "UN", 2) == 0;
        e->length = loom_le16(head + 6);
        if (is_long(head + 4)) {
            if (got < 12) return fail_damaged(w, "breaks off");
            e->length = loom_le32(head + 8);
            used = 12;
        }
    }
    w->at += used;
    if (e->length != UNDEFINED && e->length > w->input->bytes - w->at) return fail_damaged(w, "breaks off");
    return LOOM_OK;
}

static loom_status walk(walker *w, bool explicit_vr, bool in_item, unsigned depth);

/* Items, of a sequence or of packed pixels, up to their end. */
static loom_status walk_items(walker *w, bool explicit_vr, unsigned depth) {
    if (depth > DEPTH_MAX) return fail_damaged(w, "is nested too deeply");
    for (;;) {
        element e;
        LOOM_TRY(enter(w, explicit_vr, &e));
        if (e.tag == SEQUENCE_END) return LOOM_OK;
        if (e.tag != ITEM) return fail_damaged(w, "is damaged");
        if (e.length == UNDEFINED)
            LOOM_TRY(walk(w, explicit_vr, true, depth));
        else
            w->at += e.length;
    }
}

/* Elements, to the end of the item or of the file. */
static loom_status walk(walker *w, bool explicit_vr, bool in_item, unsigned depth) {
    while (in_item || w->at < w->input->bytes) {
        element e;
        LOOM_TRY(enter(w, explicit_vr, &e));
        if (in_item && e.tag == ITEM_END) return LOOM_OK;
        if (e.tag >> 16 == 0xfffe) return fail_damaged(w, "is damaged");
        if (depth == 0 && e.tag == PIXELS) w->has_pixels = true;
        if (e.length == UNDEFINED)
            LOOM_TRY(walk_items(w, explicit_vr && !e.unknown, depth + 1));
        else
            w->at += e.length;
    }
    return LOOM_OK;
}

/* Group 2: always explicit. */
static loom_status walk_meta(walker *w) {
    uint8_t group[2];
    size_t got;
    for (;;) {
        LOOM_TRY(loom_input_read(w->input, group, sizeof group, w->at, &got, w->err));
        if (got < sizeof group) return fail_damaged(w, "breaks off");
        if (loom_le16(group) != 2) return LOOM_OK;
        element e;
        LOOM_TRY(enter(w, true, &e));
        if (e.length == UNDEFINED) return fail_damaged(w, "is damaged");
        if (e.tag == SYNTAX && e.length < sizeof w->syntax)
            LOOM_TRY(loom_input_read(w->input, w->syntax, e.length, w->at, &got, w->err));
        w->at += e.length;
    }
}

loom_status loom_dicom_check_layout(const loom_input *input, loom_error *err) {
    walker w = {.input = input, .err = err, .at = PREAMBLE_BYTES};
    LOOM_TRY(walk_meta(&w));
    size_t length = strlen(w.syntax);
    while (length > 0 && w.syntax[length - 1] == ' ')
        w.syntax[--length] = '\0';
    if (strcmp(w.syntax, "1.2.840.10008.1.2.2") == 0 || strcmp(w.syntax, "1.2.840.10008.1.2.1.99") == 0)
        return loom_fail(
            err, LOOM_UNSUPPORTED,
            "%s: is a big-endian or deflated DICOM file, which is not read; convert it with gdcmconv --explicit",
            input->path);
    LOOM_TRY(walk(&w, strcmp(w.syntax, "1.2.840.10008.1.2") != 0, false, 0));
    if (w.has_pixels) return LOOM_OK;
    return loom_fail(err, LOOM_UNSUPPORTED, "%s: is a DICOM file without an image", input->path);
}
