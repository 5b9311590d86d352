/* gdcm_load.c - voxloom-dicom.so, loaded when the first DICOM file is read. It is looked for where the program's or
 * library's run path points: beside it while building, in lib/voxloom once installed. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "io/dicom/gdcm.h"

#define LIBRARY "voxloom-dicom.so"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const loom_gdcm *loaded;
static char why[400];

static void load(void) {
    void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    void *entry = library ? dlsym(library, LOOM_GDCM_SYMBOL) : NULL;
    if (!entry) {
        const char *message = dlerror();
        snprintf(why, sizeof why, "%s", message ? message : "it is empty");
        return;
    }
    const loom_gdcm *functions = (*(loom_gdcm_entry **)&entry)(); /* as POSIX has it */
    if (functions->dicom_bytes == sizeof(loom_dicom))
        loaded = functions;
    else
        snprintf(why, sizeof why, "it is of another version");
}

loom_status loom_gdcm_load(const loom_gdcm **gdcm, loom_error *err) {
    *gdcm = NULL;
    (void)pthread_once(&once, load);
    if (!loaded)
        return loom_fail(err, LOOM_NOT_FOUND,
                         "DICOM needs " LIBRARY ", which cannot be loaded: %s; install voxloom again", why);
    *gdcm = loaded;
    return LOOM_OK;
}
