/* sealed_scene.h - an encrypted store in a temporary folder, results of every kind that carry telling text, and a
 * search of every byte that the store has on the disk. */
#ifndef LOOM_TESTS_SEALED_SCENE_H
#define LOOM_TESTS_SEALED_SCENE_H

#include "disk_scene.h"

#include "shm/seal/key.h"

extern const loom_key scene_key, other_key;

/* The encrypted store in `path` (or a plain one), made if need be. */
loom_status try_sealed(const loom_key *key, loom_store **store, loom_error *err);
loom_store *open_sealed(void);
loom_store *open_plain(void);

/* Puts a value of every type with recipes, node ids, pins, goals, a run, file and meta entries, and a tombstone; all
 * made of text and bytes that search_folder looks for. */
void put_everything(loom_store *store);
/* Reads all of it back and compares. */
void require_everything(loom_store *store);

/* How many of the telling pieces (texts, ids in binary and hex, voxels) stand in some file below `folder`; prints
 * which. `searched` is how many there are. */
size_t search_folder(const char *root, size_t *searched, bool print);

#endif
