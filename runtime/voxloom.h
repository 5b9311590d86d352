/* voxloom.h - the public interface of libvoxloom: run VoxLogicA-2 programs from C.
 *
 *     #include <voxloom.h>
 *
 *     loom_error err = {0};
 *     loom_runtime *runtime = NULL;
 *     loom_report *report;
 *     const char *program = "print \"sum\" 1 + 2";
 *     if (loom_runtime_open(NULL, &runtime, &err) != LOOM_OK ||
 *         loom_runtime_run_text(runtime, "sum.imgql", program, strlen(program), stdout, &report, &err) != LOOM_OK)
 *         loom_error_print(&err, stderr);
 *
 * Conventions. A function that can fail returns a loom_status (<voxloom/status.h>) and, where the caller passes a
 * loom_error, says there what went wrong, where, and what to do; `err` may be NULL. Handles are opaque, owned by the
 * caller, and released by the matching close or free, which accepts NULL. Out-parameters are set to NULL on failure
 * unless said otherwise. A handle may be used by one thread at a time, different handles by different threads. The
 * library installs no signal handler and never calls exit. Work is done by voxloom-worker processes, which end with the
 * run. */
#ifndef LOOM_VOXLOOM_H
#define LOOM_VOXLOOM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <voxloom/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_VERSION "0.1.0"

#if defined(__GNUC__)
#define LOOM_API __attribute__((visibility("default")))
#else
#define LOOM_API
#endif

/* The version of the library that is loaded ("0.1.0"), which may be newer than LOOM_VERSION, the header's. Static. */
LOOM_API const char *loom_version(void);

/* A configuration, checked and merged once, with which any number of programs can be run. */
typedef struct loom_runtime loom_runtime;

/* Zero-initialise, set `size`, then what is needed. Text is copied. */
typedef struct loom_runtime_options {
    size_t size;                 /* sizeof(loom_runtime_options): lets later versions append fields */
    const char *config_file;     /* TOML, read after /etc/voxloom.toml and the user's own; NULL = only those */
    const char *store_path;      /* a folder, made when missing; ":memory:" keeps nothing; NULL = as configured */
    uint32_t workers;            /* worker processes; 0 = as configured */
    const char *const *settings; /* "key=value" each, as --set of the command; override everything above */
    size_t setting_count;
    const char *worker_program; /* path of voxloom-worker; NULL = beside the running program, else as installed */
} loom_runtime_options;

/* Merges the configuration (defaults, files, VOXLOOM_* variables, options). `options` may be NULL. Touches no store: a
 * run opens and closes it. Errors: LOOM_BAD_CONFIG with file, line and column; LOOM_BAD_ARGUMENT when `size` is not
 * one this library knows; LOOM_NO_MEMORY. */
LOOM_API loom_status loom_runtime_open(const loom_runtime_options *options, loom_runtime **runtime, loom_error *err);

/* Must not be called during a run. */
LOOM_API void loom_runtime_close(loom_runtime *runtime);

/* What a run did. */
typedef struct loom_report loom_report;

/* Runs every goal of a program or a plan, in its order, and returns when all are met or have failed.
 *
 * run_file: `path` names an .imgql program, or a VoxLogicA-2 plan (suffix .json, or text that begins with `{`).
 * run_text: the same for `length` bytes of UTF-8 text; `source` stands for the file name in messages and decides
 * relative imports, $dir, $file and $stem; it need not exist.
 *
 * `prints` receives what `print` goals show; NULL discards it. `report` (may be NULL) is set whenever something ran,
 * also when the run failed: free it with loom_report_free.
 *
 * Returns LOOM_OK when every goal is met; LOOM_CANCELLED after loom_runtime_stop; LOOM_BAD_SYNTAX, LOOM_BAD_PROGRAM or
 * LOOM_BAD_PLAN before anything ran; LOOM_BAD_INPUT, LOOM_NOT_FOUND or LOOM_DENIED when the file cannot be read; a
 * store's error when it cannot be opened; else the status of the first goal that failed (independent goals are still
 * completed). */
LOOM_API loom_status loom_runtime_run_file(loom_runtime *runtime, const char *path, FILE *prints, loom_report **report,
                                           loom_error *err);
LOOM_API loom_status loom_runtime_run_text(loom_runtime *runtime, const char *source, const char *text, size_t length,
                                           FILE *prints, loom_report **report, loom_error *err);

/* Stops the current run: the first call cleanly (what is finished is kept), the second now. No effect between runs.
 * Async-signal-safe and thread-safe. */
LOOM_API void loom_runtime_stop(loom_runtime *runtime);

/* The summary as JSON text, the same object as `voxloom run --summary` writes: nodes, computed, reused, failed,
 * workers, seconds, peak_rss_bytes, bytes_written, goals, failures and more. Owned by the report. */
LOOM_API const char *loom_report_json(const loom_report *report);
LOOM_API void loom_report_free(loom_report *report);

#ifdef __cplusplus
}
#endif
#endif
