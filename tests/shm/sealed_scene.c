/* sealed_scene.c - see sealed_scene.h. */
#include "sealed_scene.h"

const loom_key scene_key = {{1, 2, 3, 4, 5}}, other_key = {{5, 4, 3, 2, 1}};

loom_status try_sealed(const loom_key *key, loom_store **store, loom_error *err) {
    loom_store_options options = {.path = path, .create = true, .key = key, .memory_writers = 2};
    return loom_store_open(&options, store, err);
}

loom_store *open_sealed(void) {
    loom_error err = {0};
    loom_store *store = NULL;
    REQUIRE_OK(try_sealed(&scene_key, &store, &err));
    return store;
}

loom_store *open_plain(void) {
    loom_error err = {0};
    loom_store *store = NULL;
    REQUIRE_OK(try_sealed(NULL, &store, &err));
    return store;
}

/* ---- what is stored ---- */

#define TEXT "Jane-Q-Patient-1957-glioblastoma"
#define FIELD "diagnosis_of_record"
#define RECIPE "simpleitk.SecretOperatorName /data/patients/JaneQ/flair.nii.gz"
#define OWNER "goal:tumour_of_jane"
#define LABEL "volume_of_the_tumour"
#define PROGRAM "print \"unmistakable program text\" 17"
#define META_KEY "topology of host radiology-7"
#define META_VALUE "meta value that nobody else has written"
#define VOXELS "THESE-ARE-VOXELS"
#define WIDTH 5000u
#define LONG_TEXT_BYTES 3000000u

enum {
    MADE_NULL,
    MADE_BOOL,
    MADE_INT,
    MADE_FLOAT,
    MADE_STRING,
    MADE_BYTES,
    MADE_RECORD,
    MADE_SEQUENCE,
    MADE_LONG,
    MADE_IMAGE,
    MADE_DATASET,
    MADE_GONE,
    MADE
};

static const loom_id content_of_file = {.bytes = "content-of-the-input-file-Jane-Q"};
static const loom_file_stamp stamp = {
    .device = 0x1122334455667788, .inode = 0x99aabbccddeeff01, .size = 4711, .mtime_ns = 1, .ctime_ns = 2};

typedef struct made_value {
    loom_value value;
    loom_field fields[2];
    loom_value items[3];
    loom_value members;
    loom_image_header header;
    uint8_t *bulk; /* text or voxels */
} made_value;

static void fill(uint8_t *bytes, size_t length, const char *pattern) {
    size_t period = strlen(pattern);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)pattern[i % period];
}

static loom_value text_of(loom_type type, const char *bytes, size_t length) {
    return (loom_value){.type = type, .text = {bytes, length}};
}

static void make_value(int kind, made_value *made) {
    memset(made, 0, sizeof *made);
    loom_value *value = &made->value;
    *value = loom_null();
    made->fields[0] = (loom_field){.name = FIELD, .name_length = strlen(FIELD), .value = loom_string_of(TEXT)};
    made->fields[1] = (loom_field){.name = "age", .name_length = 3, .value = loom_int(61)};
    for (int i = 0; i < 3; i++)
        made->items[i] =
            (loom_value){.type = LOOM_REFERENCE, .reference = {.type = LOOM_IMAGE, .vid = id_of(TEXT, (uint64_t)i)}};
    if (kind == MADE_BOOL) *value = (loom_value){.type = LOOM_BOOL, .boolean = true};
    if (kind == MADE_INT) *value = loom_int(0x4a414e4551504154);
    if (kind == MADE_FLOAT) {
        uint64_t bits = 0x7ff8000000c0ffee; /* a NaN with a payload */
        *value = (loom_value){.type = LOOM_FLOAT};
        memcpy(&value->number, &bits, sizeof bits);
    }
    if (kind == MADE_STRING) *value = loom_string_of("string " TEXT);
    if (kind == MADE_BYTES) *value = text_of(LOOM_BYTES, "bytes \0" TEXT, sizeof "bytes \0" TEXT);
    if (kind == MADE_RECORD) *value = (loom_value){.type = LOOM_RECORD, .record = {made->fields, 2}};
    if (kind == MADE_SEQUENCE) *value = loom_sequence(made->items, 3);
    if (kind == MADE_LONG) {
        made->bulk = malloc(LONG_TEXT_BYTES);
        fill(made->bulk, LONG_TEXT_BYTES, TEXT " and on; ");
        *value = text_of(LOOM_STRING, (const char *)made->bulk, LONG_TEXT_BYTES);
    }
    if (kind == MADE_IMAGE) {
        made->header = loom_image_header_make(LOOM_U8, 2, (uint64_t[]){WIDTH, 400});
        made->bulk = malloc(WIDTH * 400);
        fill(made->bulk, WIDTH * 400, VOXELS);
        *value = loom_image(&made->header, made->bulk);
    }
    if (kind == MADE_DATASET) {
        made->members = (loom_value){.type = LOOM_RECORD, .record = {made->fields, 2}};
        *value = (loom_value){.type = LOOM_DATASET, .dataset = {&made->members, made->items, 3}};
    }
    if (kind == MADE_GONE) *value = loom_string_of("deleted " TEXT);
}

static loom_id rkey_of(int kind) {
    return id_of("key of a sealed result", (uint64_t)kind);
}

/* Bulk bytes as a worker leaves them: sealed in an extent of loom_store_extents. */
static void write_bulk(loom_store *store, const void *bytes, size_t length, loom_result *result, uint64_t *hashes) {
    loom_error err = {0};
    loom_extent_writer *writer;
    loom_reservation reservation;
    REQUIRE_OK(loom_extent_writer_open(loom_store_extents(store), &writer, &err));
    REQUIRE_OK(loom_extent_reserve(writer, length, true, &reservation, &err));
    memcpy(reservation.window, bytes, length);
    REQUIRE_OK(loom_extent_seal(writer, &reservation, hashes, result->root, &err));
    result->bulk = reservation.placement;
    result->block_hashes = hashes;
    loom_extent_writer_close(writer);
}

static void put_value(loom_store *store, loom_batch *batch, int kind) {
    loom_error err = {0};
    made_value made;
    loom_buffer encoded = {0};
    uint64_t hashes[8];
    make_value(kind, &made);
    REQUIRE_OK(loom_value_encode(&made.value, &encoded));
    loom_result result = {.rkey = rkey_of(kind),
                          .vid = loom_sha256(encoded.bytes, encoded.length),
                          .node = id_of("node", (uint64_t)kind),
                          .type = made.value.type,
                          .payload = encoded.bytes,
                          .payload_bytes = encoded.length,
                          .recipe = (const uint8_t *)RECIPE,
                          .recipe_bytes = strlen(RECIPE),
                          .created_ns = 5,
                          .cost_ns = 6};
    if (kind == MADE_LONG) {
        result.blob = true;
        result.payload = NULL;
        result.payload_bytes = 0;
        write_bulk(store, encoded.bytes, encoded.length, &result, hashes);
    }
    if (kind == MADE_IMAGE) write_bulk(store, made.bulk, WIDTH * 400, &result, hashes);
    if (result.bulk.bytes > 0) result.vid = result.rkey;
    REQUIRE_OK(loom_batch_put(batch, &result, &err));
    loom_buffer_free(&encoded);
    free(made.bulk);
}

void put_everything(loom_store *store) {
    loom_error err = {0};
    loom_batch *batch;
    uint64_t run;
    loom_id gone = rkey_of(MADE_GONE), pinned = rkey_of(MADE_IMAGE);
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    for (int kind = 0; kind < MADE; kind++)
        put_value(store, batch, kind);
    REQUIRE_OK(loom_batch_put_file(batch, &stamp, &content_of_file, &err));
    REQUIRE_OK(loom_batch_put_meta(batch, META_KEY, META_VALUE, strlen(META_VALUE), &err));
    REQUIRE_OK(loom_batch_pin(batch, &pinned, OWNER, &err));
    REQUIRE_OK(loom_batch_begin_run(batch, PROGRAM, &run, &err));
    REQUIRE_OK(loom_batch_put_goal(batch, run, LABEL, &pinned, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
    REQUIRE_OK(loom_store_begin(store, &batch, &err));
    REQUIRE_OK(loom_batch_delete(batch, &gone, &err));
    REQUIRE_OK(loom_batch_commit(batch, &err));
}

/* ---- and found again ---- */

static void require_value(loom_store *store, int kind) {
    loom_error err = {0};
    made_value made;
    loom_buffer expected = {0};
    make_value(kind, &made);
    REQUIRE_OK(loom_value_encode(&made.value, &expected));
    loom_arena *arena = loom_arena_new();
    loom_result found;
    loom_value value;
    loom_view view;
    loom_id rkey = rkey_of(kind), node = id_of("node", (uint64_t)kind);
    REQUIRE_OK(loom_store_find(store, &rkey, arena, &found, &err));
    assert_true(loom_id_equal(&found.rkey, &rkey));
    assert_true(loom_id_equal(&found.node, &node));
    assert_int_equal(found.type, made.value.type);
    assert_int_equal(found.created_ns, 5);
    assert_int_equal(found.cost_ns, 6);
    assert_int_equal(found.recipe_bytes, strlen(RECIPE));
    assert_memory_equal(found.recipe, RECIPE, strlen(RECIPE));
    REQUIRE_OK(loom_store_verify(store, &found, &err));
    REQUIRE_OK(loom_store_value(store, &found, arena, &value, &view, &err));
    if (kind == MADE_IMAGE) assert_memory_equal(value.image.voxels, made.bulk, WIDTH * 400);
    loom_buffer again = {0};
    REQUIRE_OK(loom_value_encode(&value, &again));
    assert_int_equal(again.length, expected.length);
    assert_memory_equal(again.bytes, expected.bytes, expected.length);
    loom_extent_release(&view);
    loom_arena_free(arena);
    loom_buffer_free(&expected);
    loom_buffer_free(&again);
    free(made.bulk);
}

static bool check_pin(const loom_pin_record *pin, void *context) {
    loom_id pinned = rkey_of(MADE_IMAGE);
    assert_true(loom_id_equal(&pin->rkey, &pinned));
    assert_string_equal(pin->owner, OWNER);
    ++*(int *)context;
    return true;
}

static bool check_goal(const loom_goal_record *goal, void *context) {
    assert_string_equal(goal->label, LABEL);
    assert_int_equal(goal->run, 1);
    ++*(int *)context;
    return true;
}

void require_everything(loom_store *store) {
    loom_error err = {0};
    loom_id content, gone = rkey_of(MADE_GONE), vid;
    loom_type type;
    const void *bytes;
    size_t length;
    int pins = 0, goals = 0;
    for (int kind = 0; kind < MADE_GONE; kind++)
        require_value(store, kind);
    loom_arena *arena = loom_arena_new();
    loom_result found;
    REQUIRE_STATUS(loom_store_find(store, &gone, arena, &found, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_trace(store, &gone, &vid, &type, &err));
    assert_int_equal(type, LOOM_STRING);
    REQUIRE_OK(loom_store_get_file(store, &stamp, &content, &err));
    assert_true(loom_id_equal(&content, &content_of_file));
    REQUIRE_OK(loom_store_get_meta(store, META_KEY, arena, &bytes, &length, &err));
    assert_int_equal(length, strlen(META_VALUE));
    assert_memory_equal(bytes, META_VALUE, length);
    REQUIRE_STATUS(loom_store_get_meta(store, "another", arena, &bytes, &length, &err), LOOM_NOT_FOUND);
    REQUIRE_OK(loom_store_each_pin(store, check_pin, &pins, &err));
    REQUIRE_OK(loom_store_each_goal(store, check_goal, &goals, &err));
    assert_int_equal(pins, 1);
    assert_int_equal(goals, 1);
    loom_arena_free(arena);
}

/* ---- the search ---- */

#define NEEDLES_MAX 128
static struct {
    uint8_t bytes[64];
    size_t length;
    char name[64];
    bool found;
} needles[NEEDLES_MAX];
static size_t needle_count;

static void look_for(const char *name, const void *bytes, size_t length) {
    assert_true(needle_count < NEEDLES_MAX && length <= 64);
    memcpy(needles[needle_count].bytes, bytes, length);
    needles[needle_count].length = length;
    needles[needle_count].found = false;
    snprintf(needles[needle_count++].name, 64, "%s", name);
}

static void look_for_text(const char *text) {
    size_t length = strlen(text);
    look_for(text, text, length < 16 ? length : 16); /* a piece is enough */
}

static void look_for_id(const char *name, const loom_id *id) {
    char hex[LOOM_ID_HEX_BYTES];
    loom_id_hex(id, hex);
    look_for(name, id->bytes, 12); /* `keys` holds 16 bytes of an id */
    look_for(name, hex, 24);
}

static void list_needles(void) {
    static const char *const texts[] = {TEXT,
                                        FIELD,
                                        RECIPE,
                                        OWNER,
                                        LABEL,
                                        PROGRAM,
                                        META_KEY,
                                        META_VALUE,
                                        VOXELS,
                                        "SecretOperatorName",
                                        "JaneQ/flair.nii"};
    needle_count = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        look_for_text(texts[i]);
    look_for_id("content of the file", &content_of_file);
    look_for("inode", "\x99\xaa\xbb\xcc\xdd\xee\xff\x01", 8);
    look_for("integer", "JANEQPAT", 8);
    for (int kind = 0; kind < MADE; kind++) {
        made_value made;
        loom_buffer encoded = {0};
        make_value(kind, &made);
        assert_int_equal(loom_value_encode(&made.value, &encoded), LOOM_OK);
        loom_id rkey = rkey_of(kind), node = id_of("node", (uint64_t)kind);
        loom_id vid = loom_sha256(encoded.bytes, encoded.length);
        look_for_id("rkey", &rkey);
        look_for_id("node", &node);
        if (kind != MADE_LONG && kind != MADE_IMAGE) look_for_id("vid", &vid);
        loom_buffer_free(&encoded);
        free(made.bulk);
    }
}

static bool searching_aloud;

static int search_file(const char *file, const struct stat *status, int kind, struct FTW *place) {
    (void)place;
    if (kind != FTW_F || status->st_size == 0) return 0;
    size_t length = 0;
    uint8_t *bytes = malloc((size_t)status->st_size);
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    for (ssize_t got; (got = read(fd, bytes + length, (size_t)status->st_size - length)) > 0;)
        length += (size_t)got;
    close(fd);
    for (size_t i = 0; i < needle_count; i++) {
        if (needles[i].found || memmem(bytes, length, needles[i].bytes, needles[i].length) == NULL) continue;
        needles[i].found = true;
        if (searching_aloud) print_message("%s holds %s\n", file, needles[i].name);
    }
    free(bytes);
    return 0;
}

size_t search_folder(const char *root, size_t *searched, bool print) {
    list_needles();
    searching_aloud = print;
    assert_int_equal(nftw(root, search_file, 16, FTW_PHYS), 0);
    size_t found = 0;
    for (size_t i = 0; i < needle_count; i++)
        found += needles[i].found;
    *searched = needle_count;
    return found;
}
