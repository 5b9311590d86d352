/* entry.c - see entry.h. Tables are named, not numbered: one that a later version adds is carried along. */
#include "shm/pack/entry.h"

#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 511u

static bool follows_from_rows(const char *name) {
    static const char *const names[] = {"rows", "keys", "vids", "extents", "deleted", "free"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

bool loom_entry_is_fields(const char *name) {
    return strcmp(name, "fields") == 0;
}

/* The row number that ends a key of `fields`. */
static uint64_t row_of(const MDB_val *key) {
    if (key->mv_size < 8) return UINT64_MAX;
    const uint8_t *end = (const uint8_t *)key->mv_data + key->mv_size - 8;
    uint64_t row = 0;
    for (unsigned i = 0; i < 8; i++)
        row = row << 8 | end[i];
    return row;
}

static loom_status write_entry(loom_pack_writer *pack, const char *name, uint32_t flags, const MDB_val *key,
                               const MDB_val *value, loom_error *err) {
    uint8_t head[sizeof(loom_entry_header) + LOOM_ENTRY_NAME_MAX + KEY_BYTES_MAX];
    loom_entry_header header = {
        .flags = flags, .name_bytes = (uint16_t)strlen(name), .key_bytes = key != NULL ? (uint16_t)key->mv_size : 0};
    if (key != NULL && key->mv_size > KEY_BYTES_MAX) return LOOM_OK; /* LMDB has none such */
    size_t length = sizeof header;
    memcpy(head, &header, sizeof header);
    memcpy(head + length, name, header.name_bytes);
    length += header.name_bytes;
    if (key != NULL) memcpy(head + length, key->mv_data, key->mv_size);
    length += header.key_bytes;
    if (!loom_entry_is_fields(name)) { /* those follow from the rows */
        loom_pack_digest(pack, head, length);
        if (value != NULL) loom_pack_digest(pack, value->mv_data, value->mv_size);
    }
    return loom_pack_add(pack, LOOM_PACK_ENTRY, head, length, value != NULL ? value->mv_data : NULL,
                         value != NULL ? value->mv_size : 0, err);
}

static loom_status write_table(const loom_index *index, MDB_txn *txn, const char *name, loom_pack_writer *pack,
                               uint64_t above, loom_error *err) {
    MDB_dbi table;
    MDB_cursor *cursor;
    unsigned flags = 0;
    int code = mdb_dbi_open(txn, name, 0, &table);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) return LOOM_OK;
    if (code == MDB_SUCCESS) code = mdb_dbi_flags(txn, table, &flags);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(txn, table, &cursor);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    bool adds = above > 0 && loom_entry_is_fields(name);
    uint32_t marks = ((flags & MDB_INTEGERKEY) != 0 ? LOOM_ENTRY_INTEGER : 0u) | (adds ? LOOM_ENTRY_ADDS : 0u);
    loom_status status = write_entry(pack, name, marks, NULL, NULL, err);
    MDB_val key, value;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS && status == LOOM_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        if (!adds || row_of(&key) > above) status = write_entry(pack, name, marks, &key, &value, err);
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) return loom_index_fail(index, code, "cannot read", err);
    return status;
}

loom_status loom_entries_write(const loom_index *index, MDB_txn *txn, loom_pack_writer *pack, uint64_t above,
                               loom_error *err) {
    MDB_dbi tables;
    MDB_cursor *cursor;
    int code = mdb_dbi_open(txn, NULL, 0, &tables);
    if (code == MDB_SUCCESS) code = mdb_cursor_open(txn, tables, &cursor);
    if (code != MDB_SUCCESS) return loom_index_fail(index, code, "cannot read", err);
    MDB_val key, value;
    loom_status status = LOOM_OK;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == MDB_SUCCESS && status == LOOM_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        char name[LOOM_ENTRY_NAME_MAX + 1];
        if (key.mv_size > LOOM_ENTRY_NAME_MAX) continue;
        memcpy(name, key.mv_data, key.mv_size);
        name[key.mv_size] = '\0';
        if (!follows_from_rows(name)) status = write_table(index, txn, name, pack, above, err);
    }
    mdb_cursor_close(cursor);
    if (status == LOOM_OK && code != MDB_NOTFOUND) return loom_index_fail(index, code, "cannot read", err);
    return status;
}

bool loom_entry_read(const void *bytes, size_t length, loom_entry *entry) {
    loom_entry_header header;
    if (length < sizeof header) return false;
    memcpy(&header, bytes, sizeof header);
    size_t head = sizeof header + header.name_bytes + header.key_bytes;
    if (header.name_bytes == 0 || header.name_bytes > LOOM_ENTRY_NAME_MAX || header.key_bytes > KEY_BYTES_MAX ||
        head > length || (header.flags & ~(uint32_t)(LOOM_ENTRY_INTEGER | LOOM_ENTRY_ADDS)) != 0)
        return false;
    const uint8_t *name = (const uint8_t *)bytes + sizeof header, *key = name + header.name_bytes;
    memcpy(entry->name, name, header.name_bytes);
    entry->name[header.name_bytes] = '\0';
    if (strlen(entry->name) != header.name_bytes || follows_from_rows(entry->name)) return false;
    if ((header.flags & LOOM_ENTRY_INTEGER) != 0 && header.key_bytes != 0 && header.key_bytes != sizeof(size_t))
        return false;
    entry->flags = header.flags;
    entry->key = (MDB_val){header.key_bytes, (void *)(uintptr_t)key};
    entry->value = (MDB_val){length - head, (void *)(uintptr_t)(key + header.key_bytes)};
    return true;
}
