/* simd.h - hot loops for more than the least x86-64 processor.
 *
 * A function marked LOOM_SIMD is compiled three times, for x86-64 as such, x86-64-v3 (AVX2) and x86-64-v4 (AVX-512);
 * the dynamic loader binds the one for the processor (function multiversioning with ifunc). What it calls inline is
 * compiled with it. Mark the function that holds the loop, static and never inline: a call costs an indirect jump, so
 * it should have a row or a chunk to do.
 *
 * Results are the same bits in all three: -ffp-contract=off forbids fused multiply-adds, and without -ffast-math a
 * compiler reorders no floating-point operation. tests/kernels/test_cpus.c compares them.
 *
 * Nothing where it cannot be: other processors and C libraries than glibc (no ifunc), the portable build, sanitizers
 * (their run-time is not there yet when the loader binds), and clang, of which 14 gives the versions of static
 * functions global names. LOOM_SIMD_OFF asks for nothing, too. */
#ifndef LOOM_KERNELS_SIMD_H
#define LOOM_KERNELS_SIMD_H

#include <stdint.h> /* __GLIBC__ */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&                           \
    !defined(VOXLOOM_PORTABLE) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                   \
    !defined(LOOM_SIMD_OFF)
#if __GNUC__ >= 12
#define LOOM_SIMD __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
#endif
#ifndef LOOM_SIMD
#define LOOM_SIMD
#endif

#endif
