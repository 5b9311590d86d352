/* rekey.c - the master key of a store: who may open it with what, and wrapping it anew. */
#include <openssl/crypto.h>
#include <string.h>

#include "shm/care/admin.h"
#include "shm/store/store_disk.h"

loom_status loom_folder_unlock(const loom_folder *folder, const loom_key *key, uint8_t master[32], loom_error *err) {
    if (!folder->encrypted)
        return key == NULL ? LOOM_OK
                           : loom_fail(err, LOOM_DENIED,
                                       "the store %s is not encrypted, and a key was given; leave store.key out, or "
                                       "make a new store with the key and move results there (store export, import)",
                                       folder->path);
    if (key == NULL)
        return loom_fail(err, LOOM_DENIED, "the store %s is encrypted; give its key (store.key)", folder->path);
    loom_status status = loom_key_unwrap(key, folder->uuid, folder->wrapped, master, err);
    if (status == LOOM_DENIED)
        return loom_fail(err, LOOM_DENIED,
                         "the key given is not that of the store %s, or its FORMAT is damaged; check store.key, or "
                         "restore FORMAT from a copy",
                         folder->path);
    return status;
}

/* Inside the gate: two rekeys at once, or a rekey and a creation, come one after the other. */
static loom_status rewrap(loom_folder *folder, const loom_key *old_key, const loom_key *new_key, loom_error *err) {
    bool present = false;
    LOOM_TRY(loom_folder_read_format(folder, &present, err));
    if (!present) return loom_fail(err, LOOM_NOT_FOUND, "there is no store in the folder %s", folder->path);
    uint8_t master[32];
    loom_status status = loom_folder_unlock(folder, old_key, master, err);
    if (status == LOOM_OK && !folder->encrypted)
        status = loom_fail(err, LOOM_DENIED,
                           "the store %s is not encrypted, so it has no key to change; make a new store with a key and "
                           "move results there (store export, import)",
                           folder->path);
    if (status == LOOM_OK) status = loom_key_wrap(new_key, folder->uuid, master, folder->wrapped, err);
    OPENSSL_cleanse(master, sizeof master);
    return status == LOOM_OK ? loom_folder_write_format(folder, err) : status;
}

loom_status loom_store_rekey(const char *path, const loom_key *old_key, const loom_key *new_key, loom_error *err) {
    if (path == NULL || new_key == NULL) return loom_fail(err, LOOM_BAD_ARGUMENT, "rekey needs a store and a new key");
    loom_folder folder;
    LOOM_TRY(loom_folder_open(path, false, &folder, err));
    loom_control *control = NULL;
    bool quiet = false, present = false;
    loom_status status = loom_folder_check_system(&folder, err);
    if (status == LOOM_OK) status = loom_folder_read_format(&folder, &present, err); /* a store at all? */
    if (status == LOOM_OK && !present)
        status = loom_fail(err, LOOM_NOT_FOUND, "there is no store in the folder %s", folder.path);
    if (status == LOOM_OK && loom_disk_is_open(&folder))
        status = loom_fail(err, LOOM_BUSY, "this process has the store %s open; close it first", folder.path);
    if (status == LOOM_OK) status = loom_control_enter(folder.fd, folder.path, &control, &quiet, err);
    if (status == LOOM_OK && quiet)
        status = loom_fail(err, LOOM_DENIED, "the store %s may not be written by this user", folder.path);
    if (status == LOOM_OK) status = rewrap(&folder, old_key, new_key, err);
    if (control != NULL) {
        loom_control_leave_gate(control);
        loom_control_close(control);
    }
    loom_folder_close(&folder);
    return status;
}
