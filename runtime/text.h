/* text.h - values as VoxLogicA-2 prints them (Python's str and repr; voxlogica2.md, section 5.6), and as JSON. */
#ifndef LOOM_RUNTIME_TEXT_H
#define LOOM_RUNTIME_TEXT_H

#include "shm/value.h"

/* Python's str(value): what `print` shows after `LABEL=` and what concat joins. Images print SimpleITK's description.
 * References print as <image ...>. */
loom_status loom_value_str(const loom_value *value, loom_buffer *out);
/* Python's repr: strings quoted Python-style. */
loom_status loom_value_repr(const loom_value *value, loom_buffer *out);
/* JSON with two-space indent as Python's json.dumps(indent=2); LOOM_BAD_ARGUMENT for images and bytes. */
loom_status loom_value_json(const loom_value *value, loom_buffer *out, loom_error *err);
/* The same on one line, without spaces. */
loom_status loom_value_json_line(const loom_value *value, loom_buffer *out, loom_error *err);

#endif
