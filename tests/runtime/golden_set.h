/* golden_set.h - the cases of one recorded manifest (../shared/golden) as one program, and what a run of it must print
 * and save. Expected values are taken from the manifest's own text, so that no number goes through our reader or
 * printer. */
#ifndef LOOM_TESTS_RUNTIME_GOLDEN_SET_H
#define LOOM_TESTS_RUNTIME_GOLDEN_SET_H

#include "harness.h"

typedef struct golden_case {
    const char *name, *expression;
    const char *recorded;      /* its object in the manifest */
    bool image;                /* else a printed value */
    const char *text;          /* of a value: what is to be printed */
    double relative_tolerance; /* of a value; 0 = the text itself */
} golden_case;

typedef struct golden_set {
    scene *at;
    const char *name;    /* "small" */
    const char *program; /* the file written last */
    const char *prelude;
    golden_case *cases;
    size_t count;
} golden_set;

/* Reads the manifest and copies its inputs into the scene; skips the test if there is no ../shared. Release
 * with golden_free. */
golden_set golden_load(scene *at, const char *name);
void golden_free(golden_set *set);

/* Writes the prelude and all cases as a program; images are saved as out/NAME.nii.gz. */
void golden_write(golden_set *set);

/* How many images the program saves. */
unsigned golden_images(const golden_set *set);

/* Runs the program; `seconds` is its time limit, 0 = the harness's. */
outcome golden_run(const golden_set *set, const char *more, double seconds);

/* Fails the test, after naming every case that differs, unless each case of the program was met with the recorded
 * result. Cases that are not native must be the only ones that failed, each because of its operator.
 *
 * Images are equal in pixel type, size, components, spacing, origin (both to the float that NIfTI holds) and every
 * voxel (SHA-256); so the labels of lcc are compared by number, not only as a partition: ours follow ITK's raster order
 * of first voxels. Values are equal in their text; means within 1e-12 of their size, because the order of the
 * original's double additions is not ours. */
void golden_check(const golden_set *set, const outcome *result);

#endif
