/* stdlib_text.h - planner/imgql/stdlib.imgql, built into the library (made by planner/CMakeLists.txt). */
#ifndef LOOM_PLANNER_STDLIB_TEXT_H
#define LOOM_PLANNER_STDLIB_TEXT_H

#include <stddef.h>

extern const char loom_stdlib_text[];
extern const size_t loom_stdlib_length;

#endif
