/* moments.c - simpleitk.Statistics: (minimum, maximum, mean, sigma, variance, sum, count) of an image.
 *
 * One pass: each chunk has its mean and the sum of squared deviations from it; chunks are united in raster order
 * (T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae, 1979), and sums with what rounding lost (A. Neumaier
 * 1974). So nothing depends on how the work is split, and little is lost where the values lie far from 0: ITK's
 * difference of two large sums is more exact nowhere. Variance and sigma are those of a sample (n - 1). Shared memory:
 * 48 bytes a chunk of LOOM_CHUNK voxels. */
#include <math.h>

#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/base/parts.h"
#include "runtime/kernels/base/simd.h"
#include "runtime/kernels/base/voxels.h"
#include "runtime/kernels/kernels.h"

enum { LANES = 8 };

typedef struct moments {
    double least, greatest; /* NaN passed over */
    double sum, mean, squares;
    uint64_t count;
} moments;

static double sum_lanes(const double lane[LANES]) {
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* `count` values, a multiple of LANES or the last ones. */
static LOOM_SIMD void moments_of(const double *values, size_t count, moments *of) {
    double sum[LANES] = {0}, squares[LANES] = {0}, least[LANES], greatest[LANES];
    const size_t whole = count - count % LANES;
    for (size_t j = 0; j < LANES; j++) {
        least[j] = (double)INFINITY;
        greatest[j] = -(double)INFINITY;
    }
    for (size_t k = 0; k < whole; k += LANES)
        for (size_t j = 0; j < LANES; j++) {
            const double value = values[k + j];
            sum[j] += value;
            least[j] = value < least[j] ? value : least[j];
            greatest[j] = value > greatest[j] ? value : greatest[j];
        }
    for (size_t k = whole; k < count; k++) {
        sum[k - whole] += values[k];
        least[0] = values[k] < least[0] ? values[k] : least[0];
        greatest[0] = values[k] > greatest[0] ? values[k] : greatest[0];
    }
    of->count = count;
    of->sum = sum_lanes(sum);
    of->mean = of->sum / (double)count;
    for (size_t k = 0; k < whole; k += LANES)
        for (size_t j = 0; j < LANES; j++)
            squares[j] += (values[k + j] - of->mean) * (values[k + j] - of->mean);
    for (size_t k = whole; k < count; k++)
        squares[k - whole] += (values[k] - of->mean) * (values[k] - of->mean);
    of->squares = sum_lanes(squares);
    for (size_t j = 1; j < LANES; j++) {
        least[0] = least[j] < least[0] ? least[j] : least[0];
        greatest[0] = greatest[j] > greatest[0] ? greatest[j] : greatest[0];
    }
    of->least = least[0];
    of->greatest = greatest[0];
}

static loom_status moments_part(loom_part *part) {
    const loom_value *image = NULL;
    moments *chunks = part->shared[0];
    double values[LOOM_CHUNK];
    LOOM_TRY(loom_arg_image(part->call, 0, &image));
    for (uint64_t first = part->first, end = part->first + part->count; first < end; first += LOOM_CHUNK) {
        const size_t count = end - first < LOOM_CHUNK ? (size_t)(end - first) : LOOM_CHUNK;
        loom_cast(image->image.header->dtype, loom_values_at(image, first), LOOM_F64, values, count);
        moments_of(values, count, &chunks[first / LOOM_CHUNK]);
    }
    return LOOM_OK;
}
static const loom_part_run loops[] = {moments_part};
const loom_loops loom_loops_moments = {.run = loops, .count = 1};

/* Of all chunks, in their order. */
static moments united(const moments *chunks, size_t count) {
    moments all = chunks[0];
    double lost = 0;
    for (size_t k = 1; k < count; k++) {
        const moments *next = &chunks[k];
        const double sum = all.sum + next->sum, difference = next->mean - all.mean;
        const double before = (double)all.count, more = (double)next->count, total = before + more;
        lost += fabs(all.sum) >= fabs(next->sum) ? (all.sum - sum) + next->sum : (next->sum - sum) + all.sum;
        all.squares += next->squares + difference * difference * (before * more / total);
        all.mean += difference * (more / total);
        all.count += next->count;
        all.sum = sum;
        all.least = next->least < all.least ? next->least : all.least;
        all.greatest = next->greatest > all.greatest ? next->greatest : all.greatest;
    }
    if (isfinite(all.sum + lost)) all.sum += lost;
    all.mean = all.sum / (double)all.count;
    /* Nothing but NaN has no extremes. */
    if (all.least > all.greatest) all.least = all.greatest = (double)NAN;
    return all;
}

loom_status loom_run_sitk_statistics(loom_call *call) {
    const loom_value *image = NULL;
    void *memory = NULL;
    enum { NUMBERS = 7 };
    LOOM_TRY(loom_arg_image(call, 0, &image));
    const uint64_t total = loom_image_voxels(image->image.header);
    const size_t chunks = (size_t)((total + LOOM_CHUNK - 1) / LOOM_CHUNK);
    LOOM_TRY(loom_share(call, 0, chunks, sizeof(moments), &memory));
    LOOM_TRY(loom_run_parts(call, 0, total, LOOM_PART_VALUES, NULL, 0));
    const moments all = united(memory, chunks);
    const double variance = all.squares / ((double)all.count - 1);
    loom_value *numbers = loom_arena_array(call->arena, NUMBERS, sizeof *numbers);
    if (numbers == NULL) return loom_fail(call->err, LOOM_NO_MEMORY, "out of memory in `%s`", call->op->name);
    const double reals[] = {all.least, all.greatest, all.mean, sqrt(variance), variance, all.sum};
    for (size_t k = 0; k + 1 < NUMBERS; k++)
        numbers[k] = loom_float(reals[k]);
    numbers[NUMBERS - 1] = loom_int((int64_t)all.count);
    call->result = loom_tuple(numbers, NUMBERS);
    return LOOM_OK;
}
