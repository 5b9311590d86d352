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
 * Three ways to say what to run: a file, a text, or nodes built in C (loom_builder). Two ways to run it: a call that
 * returns when it is done (loom_runtime_run_...), or a job in a thread of the library (loom_runtime_submit_...), whose
 * results are read as values (loom_job_result). Operators of one's own are plug-ins: <voxloom/kernel.h>.
 *
 * Conventions. A function that can fail returns a loom_status (<voxloom/status.h>) and, where the caller passes a
 * loom_error, says there what went wrong, where, and what to do; `err` may be NULL. Handles are opaque, owned by the
 * caller, and released by the matching close or free, which accepts NULL. Out-parameters are set to NULL on failure
 * unless said otherwise. A handle may be used by one thread at a time, different handles by different threads; a
 * runtime may be used by several threads at once except for loom_runtime_run_... and close, a job by any number. The
 * library installs no signal handler, blocks all signals in its own threads, and never calls exit. Work is done by
 * voxloom-worker processes, which end with the run. After fork a child must not use what its parent opened. */
#ifndef LOOM_VOXLOOM_H
#define LOOM_VOXLOOM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <voxloom/status.h>
#include <voxloom/store.h> /* values: loom_item, loom_maker */

#ifdef __cplusplus
extern "C" {
#endif

#define LOOM_VERSION "0.1.0"

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

/* Merges the configuration (defaults, files, VOXLOOM_* variables, options) and loads the plug-ins that it names.
 * `options` may be NULL. Touches no store: a run opens and closes it. Errors: LOOM_BAD_CONFIG with file, line and
 * column, or with the plug-in; LOOM_BAD_ARGUMENT when `size` is not one this library knows; LOOM_NO_MEMORY. */
LOOM_API loom_status loom_runtime_open(const loom_runtime_options *options, loom_runtime **runtime, loom_error *err);

/* Must not be called during a run; jobs and builders must be freed before. NULL is accepted. */
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

/* Stops the current run of loom_runtime_run_...: the first call cleanly (what is finished is kept), the second now. No
 * effect between runs. Async-signal-safe and thread-safe. */
LOOM_API void loom_runtime_stop(loom_runtime *runtime);

/* The summary as JSON text, the same object as `voxloom run --summary` writes: nodes, computed, reused, failed,
 * workers, seconds, peak_rss_bytes, bytes_written, goals, failures and more. Owned by the report. */
LOOM_API const char *loom_report_json(const loom_report *report);
LOOM_API void loom_report_free(loom_report *report);

/* ---- plans built in C ---- */

/* A plan under construction. Equal nodes are one node, and have the id that the same call in a program has: what either
 * stores, the other finds. */
typedef struct loom_builder loom_builder;
/* Numbers of nodes, counted from 0 without gaps; an argument's is smaller than its user's. */
typedef uint32_t loom_builder_node;

/* With the operators of the runtime, which must outlive it. LOOM_NO_MEMORY. */
LOOM_API loom_status loom_builder_new(loom_runtime *runtime, loom_builder **builder, loom_error *err);
/* NULL is accepted. Not after loom_runtime_submit_builder. */
LOOM_API void loom_builder_free(loom_builder *builder);

/* Constants. Numbers of programs are floats: 1 in ImgQL is loom_builder_float(builder, 1.0, ...). Text is copied.
 * LOOM_BAD_ARGUMENT: not UTF-8, or an unfinished maker; LOOM_UNSUPPORTED: bytes, references and datasets are no
 * constants; LOOM_TOO_LARGE: more than 2^30 nodes. */
LOOM_API loom_status loom_builder_float(loom_builder *builder, double number, loom_builder_node *node, loom_error *err);
LOOM_API loom_status loom_builder_string(loom_builder *builder, const char *text, size_t length,
                                         loom_builder_node *node, loom_error *err);
LOOM_API loom_status loom_builder_value(loom_builder *builder, const loom_maker *maker, loom_builder_node *node,
                                        loom_error *err);
/* An operator, by its qualified name ("vox1.near"), applied to `count` nodes. LOOM_BAD_PROGRAM: there is no such
 * operator, it takes another number of arguments, or a function (for, map, filter, fold: write a program);
 * LOOM_BAD_ARGUMENT: an argument is no node. Arguments' types are checked when the plan is run. `node` may point into
 * `arguments`; it is left alone by a failure. */
LOOM_API loom_status loom_builder_call(loom_builder *builder, const char *name, const loom_builder_node *arguments,
                                       uint32_t count, loom_builder_node *node, loom_error *err);

/* Goals, met in this order. `keep`: the value is read by loom_job_result. `print` shows NAME=VALUE (and keeps it too);
 * `save` writes the file `name`, whose suffix says how, and makes its folders. LOOM_BAD_ARGUMENT: no node, or `name` is
 * NULL or empty. */
LOOM_API loom_status loom_builder_keep(loom_builder *builder, loom_builder_node node, const char *name,
                                       loom_error *err);
LOOM_API loom_status loom_builder_print(loom_builder *builder, loom_builder_node node, const char *name,
                                        loom_error *err);
LOOM_API loom_status loom_builder_save(loom_builder *builder, loom_builder_node node, const char *name,
                                       loom_error *err);

/* ---- jobs: runs in a thread of the library ---- */

typedef struct loom_job loom_job;

typedef struct loom_job_progress {
    size_t size;
    uint64_t nodes_total; /* known so far: grows while loops expand */
    uint64_t nodes_done;  /* computed or found */
    uint64_t nodes_reused;
    uint64_t bytes_written; /* of images and other large values */
    uint32_t workers, workers_busy;
    double seconds;
} loom_job_progress;

/* Zero-initialise and set `size`. Callbacks come from the job's thread, one at a time, until the job has ended; they
 * may call loom_job_cancel, and must not wait for the job, nor free it. */
typedef struct loom_job_options {
    size_t size;
    FILE *prints; /* what `print` goals show; NULL discards it. Must stay open until the job is freed */
    void (*progress)(const loom_job_progress *progress, void *context); /* about ten times a second; may be NULL */
    void (*notice)(const char *line, void *context);                    /* one-line warnings; may be NULL */
    void *context;
} loom_job_options;

/* Plans at once, in the caller's thread, with the errors of loom_runtime_run_...; what is found is run by a thread of
 * the job. `options` may be NULL. Any number of jobs may run at a time, also on one store: nothing is computed twice.
 * submit_builder ends the builder, also when it fails. */
LOOM_API loom_status loom_runtime_submit_file(loom_runtime *runtime, const char *path, const loom_job_options *options,
                                              loom_job **job, loom_error *err);
LOOM_API loom_status loom_runtime_submit_text(loom_runtime *runtime, const char *source, const char *text,
                                              size_t length, const loom_job_options *options, loom_job **job,
                                              loom_error *err);
LOOM_API loom_status loom_runtime_submit_builder(loom_runtime *runtime, loom_builder *builder,
                                                 const loom_job_options *options, loom_job **job, loom_error *err);

/* Waits until the job has ended and returns as loom_runtime_run_... would; LOOM_BUSY (err is left alone) if it still
 * runs after `timeout_ms` milliseconds. Negative: no limit. Any number of threads may wait, any number of times. */
LOOM_API loom_status loom_job_wait(loom_job *job, int64_t timeout_ms, loom_error *err);
/* LOOM_BUSY while it runs, else how it ended. `progress` (may be NULL) is how far it was when it was last looked at. */
LOOM_API loom_status loom_job_poll(loom_job *job, loom_job_progress *progress);
/* The first call stops the job cleanly (what is finished is kept), the second now. Async-signal-safe. */
LOOM_API void loom_job_cancel(loom_job *job);
/* The summary as JSON, as loom_report_json; NULL while the job runs, or if it did not get that far. Owned by the job.
 */
LOOM_API const char *loom_job_report_json(loom_job *job);
/* Stops the job now if it still runs, waits for its end, and frees it. Items that came out of it stay valid. NULL is
 * accepted. */
LOOM_API void loom_job_free(loom_job *job);

/* The value of the goal `name` (of several the last), without a copy: an image is a read-only mapping of the bytes that
 * a worker wrote. Release it with loom_item_release; any thread may hold its own. LOOM_BUSY: the job still runs;
 * LOOM_NOT_FOUND: it has no such goal; else why the goal was not met. */
LOOM_API loom_status loom_job_result(loom_job *job, const char *name, loom_item **item, loom_error *err);
/* What an item of a result that is a reference names (a sequence of images): see loom_item_reference. LOOM_NOT_FOUND:
 * it is not of this job, or was evicted meanwhile. */
LOOM_API loom_status loom_job_fetch(loom_job *job, const uint8_t value_id[32], loom_item **item, loom_error *err);

#ifdef __cplusplus
}
#endif
#endif
