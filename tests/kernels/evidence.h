/* evidence.h - what says that an operator's results are right, found where it stands: in recorded cases, in what ITK
 * wrote down, in tests that call it by name. */
#ifndef LOOM_TESTS_KERNELS_EVIDENCE_H
#define LOOM_TESTS_KERNELS_EVIDENCE_H

#include "harness.h"

enum { EVIDENCE_FILES_MAX = 64, EVIDENCE_OPERATORS_MAX = 512 };

typedef struct evidence {
    const char *files[EVIDENCE_FILES_MAX]; /* tests with definitions or properties, by name, ascending */
    size_t file_count;
    bool has_recorded; /* ../shared is there; else `recorded` says nothing */
    struct {
        bool recorded, itk;
        bool named[EVIDENCE_FILES_MAX]; /* in files[k] */
    } of[EVIDENCE_OPERATORS_MAX];       /* by position in the table of operators */
} evidence;

/* Looks into tests/kernels below `source` (VOXLOOM_SOURCE) and golden/ below `shared`, which may be NULL. What it finds
 * lives as long as the harness. */
void evidence_find(harness *h, const char *source, const char *shared, evidence *found);

#endif
