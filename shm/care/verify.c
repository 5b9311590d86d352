/* verify.c - checks a whole store: the index page by page without LMDB (tree.h), every row, every entry of every table
 * against the rows and back, every page of every extent file, every block. What is compared is sorted and merged, never
 * looked up, so that a million rows take seconds. How each finding is repaired: shm/SCHEMA.md, "Verification". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/care/verify_parts.h"

void *loom_verify_add(verify *of, verify_list *list, size_t bytes) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
        uint8_t *grown = realloc(list->items, capacity * bytes);
        if (grown == NULL) {
            of->exhausted = true;
            return NULL;
        }
        list->items = grown;
        list->capacity = capacity;
    }
    uint8_t *item = list->items + list->count++ * bytes;
    memset(item, 0, bytes);
    return item;
}

void loom_verify_list_free(verify_list *list) {
    free(list->items);
    *list = (verify_list){0};
}

verify_note *loom_verify_note(verify *of, loom_finding_kind kind, verify_remedy remedy, const char *what) {
    verify_note *note = loom_verify_add(of, &of->notes, sizeof *note);
    if (note == NULL) return NULL;
    *note = (verify_note){.kind = kind, .remedy = remedy, .what = what};
    return note;
}

loom_status loom_verify_tell(const verify *of, const char *phase, uint64_t done, uint64_t total, loom_error *err) {
    if (of->options->progress == NULL || of->options->progress(phase, done, total, of->options->context))
        return LOOM_OK;
    return loom_fail(err, LOOM_CANCELLED, "the verification was stopped; nothing was changed");
}

loom_status loom_verify_decode(verify *of, uint64_t row, const void *bytes, size_t length, loom_result *result,
                               loom_row_kind *kind, loom_error *err) {
    if (length > of->row.capacity) {
        uint8_t *grown = realloc(of->row.items, length);
        if (grown == NULL) {
            of->exhausted = true;
            return loom_fail(err, LOOM_NO_MEMORY, "out of memory while verifying a store");
        }
        of->row.items = grown;
        of->row.capacity = length;
    }
    memcpy(of->row.items, bytes, length);
    LOOM_TRY(loom_index_open_row(of->parts.index, row, of->row.items, &length, err));
    return loom_row_decode(of->row.items, length, row, result, kind, err);
}

/* ---- telling what was found ---- */

static const char *remedy_text(const verify_note *note, bool repaired) {
    if (repaired) return "repaired";
    if (note->kind == LOOM_FINDING_TREE) return "store verify --repair writes the index anew before it opens it";
    return note->remedy == VERIFY_NOTHING ? "cannot be repaired here" : "store verify --repair mends it";
}

static void tell_finding(const verify *of, const verify_note *note, bool repaired) {
    char hex[LOOM_ID_HEX_BYTES] = "";
    loom_finding finding = {.kind = note->kind,
                            .rkey = note->rkey,
                            .row = note->row,
                            .at = note->at,
                            .blocks = note->blocks,
                            .repaired = repaired};
    if (!loom_id_is_zero(&note->rkey)) loom_id_hex(&note->rkey, hex);
    char place[160] = "";
    size_t used = 0, room = sizeof place;
    if (hex[0] != '\0') used += (size_t)snprintf(place, room, " result %.16s", hex);
    if (note->row != 0) used += (size_t)snprintf(place + used, room - used, " row %llu", (unsigned long long)note->row);
    if (note->blocks != 0)
        used += (size_t)snprintf(place + used, room - used, " %llu of its blocks, the first",
                                 (unsigned long long)note->blocks);
    if (note->at.bytes != 0)
        used += (size_t)snprintf(place + used, room - used, " at %08x:%llu", note->at.extent,
                                 (unsigned long long)note->at.offset);
    if (note->number != 0) snprintf(place + used, room - used, " number %llu", (unsigned long long)note->number);
    snprintf(finding.text, sizeof finding.text, "%s%s%s; %s", note->what, place[0] != '\0' ? ":" : "", place,
             remedy_text(note, repaired));
    of->options->found(&finding, of->options->context);
}

static void tell_findings(const verify *of, bool repaired) {
    const verify_note *notes = (const verify_note *)(const void *)of->notes.items;
    for (size_t i = 0; i < of->notes.count; i++) {
        of->report->findings++;
        of->report->bad_blocks += notes[i].blocks;
        if (of->options->found != NULL) tell_finding(of, &notes[i], repaired && notes[i].remedy != VERIFY_NOTHING);
    }
}

/* ---- the whole ---- */

static loom_status check_memory(const verify *of, loom_error *err) {
    return of->exhausted ? loom_fail(err, LOOM_NO_MEMORY, "out of memory while verifying a store") : LOOM_OK;
}

static loom_status check_all(verify *of, loom_error *err) {
    LOOM_TRY(loom_verify_index(of, err));
    LOOM_TRY(check_memory(of, err));
    if (loom_verify_has_tree_damage(of)) return LOOM_OK; /* what follows would go through LMDB */
    LOOM_TRY(loom_verify_space(of, err));
    LOOM_TRY(check_memory(of, err));
    if (!of->options->index_only) LOOM_TRY(loom_verify_blocks(of, err));
    loom_verify_references(of); /* last: large sequences lie in blocks */
    return check_memory(of, err);
}

static void free_lists(verify *of) {
    verify_list *lists[] = {&of->notes, &of->keys,  &of->vids,  &of->values,
                            &of->needs, &of->spans, &of->files, &of->row};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        loom_verify_list_free(lists[i]);
    loom_arena_free(of->arena);
}

static bool can_repair(const verify *of) {
    const verify_note *notes = (const verify_note *)(const void *)of->notes.items;
    for (size_t i = 0; i < of->notes.count; i++)
        if (notes[i].remedy != VERIFY_NOTHING) return true;
    return false;
}

loom_status loom_store_verify_all(loom_store *store, const loom_verify_options *options, loom_verify_report *report,
                                  loom_error *err) {
    *report = (loom_verify_report){0};
    verify of = {.store = store, .options = options, .report = report};
    LOOM_TRY(loom_store_check_process(store, err));
    LOOM_TRY(loom_store_parts_of(store, &of.parts, err));
    if (options->repair && !store->writable)
        return loom_fail(err, LOOM_DENIED, "the store %s is open for reading only and cannot be repaired", store->path);
    of.arena = loom_arena_new();
    loom_status status =
        of.arena != NULL ? LOOM_OK : loom_fail(err, LOOM_NO_MEMORY, "out of memory while verifying a store");
    if (status == LOOM_OK) status = check_all(&of, err);
    bool repaired = false;
    if (status == LOOM_OK && options->repair && (can_repair(&of) || report->unowned_bytes > 0)) {
        status = loom_verify_repair(&of, err);
        repaired = status == LOOM_OK;
    }
    tell_findings(&of, repaired);
    free_lists(&of);
    return status;
}
