/* kernels.h - the kernels, by family; what each does is said in the operator's row of the folder tables. */
#ifndef LOOM_KERNELS_KERNELS_H
#define LOOM_KERNELS_KERNELS_H

#include "runtime/kernels/kernel.h"

loom_status loom_run_abs(loom_call *call);
loom_status loom_run_add(loom_call *call);
loom_status loom_run_add_vs(loom_call *call);
loom_status loom_run_alpha(loom_call *call);
loom_status loom_run_and(loom_call *call);
loom_status loom_run_argmax(loom_call *call);
loom_status loom_run_avg(loom_call *call);
loom_status loom_run_avg0(loom_call *call);
loom_status loom_run_bconstant(loom_call *call);
loom_status loom_run_between(loom_call *call);
loom_status loom_run_binary_threshold(loom_call *call);
loom_status loom_run_blue(loom_call *call);
loom_status loom_run_bool_and(loom_call *call);
loom_status loom_run_bool_not(loom_call *call);
loom_status loom_run_bool_or(loom_call *call);
loom_status loom_run_border(loom_call *call);
loom_status loom_run_cast(loom_call *call);
loom_status loom_run_common_domain(loom_call *call);
loom_status loom_run_concat_sequences(loom_call *call);
loom_status loom_run_concat_text(loom_call *call);
loom_status loom_run_constant(loom_call *call);
loom_status loom_run_dir(loom_call *call);
loom_status loom_run_div_sv(loom_call *call);
loom_status loom_run_div_vs(loom_call *call);
loom_status loom_run_divide(loom_call *call);
loom_status loom_run_domain(loom_call *call);
loom_status loom_run_dt(loom_call *call);
loom_status loom_run_eq_sv(loom_call *call);
loom_status loom_run_equal(loom_call *call);
loom_status loom_run_extract(loom_call *call);
loom_status loom_run_ff(loom_call *call);
loom_status loom_run_fold(loom_call *call);
loom_status loom_run_format(loom_call *call);
loom_status loom_run_geq_sv(loom_call *call);
loom_status loom_run_greater(loom_call *call);
loom_status loom_run_greater_equal(loom_call *call);
loom_status loom_run_green(loom_call *call);
loom_status loom_run_index(loom_call *call);
loom_status loom_run_intensity(loom_call *call);
loom_status loom_run_interior(loom_call *call);
loom_status loom_run_lcc(loom_call *call);
loom_status loom_run_leq_sv(loom_call *call);
loom_status loom_run_less(loom_call *call);
loom_status loom_run_less_equal(loom_call *call);
loom_status loom_run_load(loom_call *call);
loom_status loom_run_mask(loom_call *call);
loom_status loom_run_max(loom_call *call);
loom_status loom_run_maxvol(loom_call *call);
loom_status loom_run_min(loom_call *call);
loom_status loom_run_minimum_maximum(loom_call *call);
loom_status loom_run_minus(loom_call *call);
loom_status loom_run_mul_vs(loom_call *call);
loom_status loom_run_multiply(loom_call *call);
loom_status loom_run_near(loom_call *call);
loom_status loom_run_not(loom_call *call);
loom_status loom_run_not_compat(loom_call *call);
loom_status loom_run_not_equal(loom_call *call);
loom_status loom_run_num_add(loom_call *call);
loom_status loom_run_num_div(loom_call *call);
loom_status loom_run_num_eq(loom_call *call);
loom_status loom_run_num_geq(loom_call *call);
loom_status loom_run_num_gt(loom_call *call);
loom_status loom_run_num_leq(loom_call *call);
loom_status loom_run_num_lt(loom_call *call);
loom_status loom_run_num_mul(loom_call *call);
loom_status loom_run_num_neq(loom_call *call);
loom_status loom_run_num_sub(loom_call *call);
loom_status loom_run_or(loom_call *call);
loom_status loom_run_otsu(loom_call *call);
loom_status loom_run_over(loom_call *call);
loom_status loom_run_percentiles(loom_call *call);
loom_status loom_run_pixel_id(loom_call *call);
loom_status loom_run_plus(loom_call *call);
loom_status loom_run_range(loom_call *call);
loom_status loom_run_read_image(loom_call *call);
loom_status loom_run_red(loom_call *call);
loom_status loom_run_rescale(loom_call *call);
loom_status loom_run_rgb(loom_call *call);
loom_status loom_run_rgba(loom_call *call);
loom_status loom_run_save(loom_call *call);
loom_status loom_run_sequence(loom_call *call);
loom_status loom_run_sitk_extract(loom_call *call);
loom_status loom_run_slice(loom_call *call);
loom_status loom_run_sub_sv(loom_call *call);
loom_status loom_run_sub_vs(loom_call *call);
loom_status loom_run_subsequence(loom_call *call);
loom_status loom_run_sweep(loom_call *call);
loom_status loom_run_subtract(loom_call *call);
loom_status loom_run_through(loom_call *call);
loom_status loom_run_times(loom_call *call);
loom_status loom_run_tt(loom_call *call);
loom_status loom_run_vector_double(loom_call *call);
loom_status loom_run_vector_uint32(loom_call *call);
loom_status loom_run_volume(loom_call *call);
loom_status loom_run_write_image(loom_call *call);
loom_status loom_run_x(loom_call *call);
loom_status loom_run_y(loom_call *call);
loom_status loom_run_z(loom_call *call);

/* Loops in parts (parts.h), by family. */
extern const loom_loops loom_loops_arith;
extern const loom_loops loom_loops_box;
extern const loom_loops loom_loops_compare;
extern const loom_loops loom_loops_components;
extern const loom_loops loom_loops_dt;
extern const loom_loops loom_loops_extract;
extern const loom_loops loom_loops_fold;
extern const loom_loops loom_loops_logic;
extern const loom_loops loom_loops_otsu;
extern const loom_loops loom_loops_percentiles;
extern const loom_loops loom_loops_pixels;
extern const loom_loops loom_loops_shape;
extern const loom_loops loom_loops_statistics;
extern const loom_loops loom_loops_sweep;

/* Files that a call reads, before it runs. */
loom_status loom_inputs_dir(loom_call *call, loom_input_list *list);
loom_status loom_inputs_load(loom_call *call, loom_input_list *list);
loom_status loom_inputs_read_image(loom_call *call, loom_input_list *list);

#endif
