/* mean.c - Mean: the mean over a box around each voxel (separable.h).
 *
 * Sums of whole numbers are exact, so the result is ITK's to the bit: the quotient, cut off towards 0. Sums of reals
 * are taken axis by axis and not voxel by voxel, which may change the last bits of a double before it is rounded to the
 * pixel type. A running sum along the row would be quicker for large boxes but would carry NaN and rounding along. */
#include "runtime/kernels/base/arguments.h"
#include "runtime/kernels/filters/options.h"
#include "runtime/kernels/filters/separable.h"
#include "runtime/kernels/kernels.h"

loom_status loom_run_mean(loom_call *call) {
    const loom_value *image = NULL;
    loom_separable box = {.divisor = 1.0};
    LOOM_TRY(loom_arg_any_image(call, 0, &image));
    const loom_image_header *header = image->image.header;
    LOOM_TRY(loom_option_radius(call, 1, header->rank, box.radius));
    for (unsigned d = 0; d < header->rank; d++)
        box.divisor *= (double)(2 * box.radius[d] + 1);
    return loom_separable_run(call, &box, header->dtype == LOOM_BOOL8 ? LOOM_U8 : (loom_dtype)header->dtype);
}
