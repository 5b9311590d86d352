/* golden.h - every case of one recorded manifest (../shared/golden), evaluated and compared. */
#ifndef LOOM_TESTS_KERNELS_GOLDEN_H
#define LOOM_TESTS_KERNELS_GOLDEN_H

/* Fails the test when a case differs or cannot be run; every one of at least `least` cases must pass. */
void check_manifest(const char *set, unsigned least);

#endif
