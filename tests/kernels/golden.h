/* golden.h - every case of one recorded manifest (../shared/golden), evaluated and compared. */
#ifndef LOOM_TESTS_KERNELS_GOLDEN_H
#define LOOM_TESTS_KERNELS_GOLDEN_H

/* Fails the test when a case differs; cases with an operator that has no native kernel are named as not covered. At
 * least `least` cases must have been compared. */
void check_manifest(const char *set, unsigned least);

#endif
