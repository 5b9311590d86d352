/* layout.h - whether a DICOM file is whole: every element that it announces is there, to the end of the file. GDCM
 * reads files whose pixels end early without a word. */
#ifndef LOOM_IO_DICOM_LAYOUT_H
#define LOOM_IO_DICOM_LAYOUT_H

#include "io/input.h"

/* LOOM_BAD_INPUT (breaks off, is damaged), LOOM_UNSUPPORTED (big-endian, deflated, or without pixels). */
loom_status loom_dicom_check_layout(const loom_input *input, loom_error *err);

#endif
