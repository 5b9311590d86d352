/* voxloom/kernel.h - operators of your own: the interface between voxloom and a plug-in.
 *
 * A plug-in is a shared object that the configuration names (kernels.plugins). It exports one constant,
 * `voxloom_plugin`, and links with nothing of voxloom:
 *
 *     #include <voxloom/kernel.h>
 *
 *     static loom_status twice(loom_plugin_call *call) {
 *         call->result.type = LOOM_ITEM_FLOAT;
 *         call->result.number = 2 * call->arguments[0].number;
 *         return LOOM_OK;
 *     }
 *     static const loom_plugin_kernel kernels[] = {
 *         {"mine.twice", "n:n", 1, 1, 0, 1, LOOM_PLUGIN_COST_SCALAR, 0, "a number, doubled", twice}};
 *     const loom_plugin voxloom_plugin = LOOM_PLUGIN(kernels);
 *
 * `cc -shared -fPIC -o mine.so mine.c`, and programs say `mine.twice(21)`, or after `import "mine"` just `twice(21)`.
 *
 * A kernel runs in a worker process, one call at a time a process, on a thread whose stack has the usual 8 MiB; it may
 * crash without harm to the run. It keeps no state between calls, and its result depends on nothing but the arguments:
 * no time, environment, randomness, file or order of threads; results are stored and used in its place. The content of
 * the plug-in's file is part of the key of all that it computes: a plug-in that was built anew computes anew.
 *
 * The coordinating process loads the plug-in too, to read its table, but runs no kernel. Plug-ins are never unloaded.
 * A plug-in must not be overwritten while a process has it loaded (replace the file instead, as linkers do). */
#ifndef LOOM_VOXLOOM_KERNEL_H
#define LOOM_VOXLOOM_KERNEL_H

#include <voxloom/status.h>
#include <voxloom/store.h> /* the numbers of types and pixel types, and loom_image_info; no function of it */

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct below changes; a library refuses plug-ins of another number. */
#define LOOM_PLUGIN_ABI 1u

typedef struct loom_plugin_value loom_plugin_value;
typedef struct loom_plugin_call loom_plugin_call;

/* A value: an argument, to be read during the call, or a result. Zero-initialised it is null. Of the fields that do not
 * belong to its type, those of an argument are 0 or NULL, those of a result do not matter. */
struct loom_plugin_value {
    int32_t type;    /* LOOM_ITEM_...; LOOM_ITEM_DATASET and functions come without content */
    uint32_t tuple;  /* not 0: a sequence that prints with parentheses */
    int64_t integer; /* LOOM_ITEM_BOOL (0 or 1), LOOM_ITEM_INT */
    double number; /* LOOM_ITEM_FLOAT; of an argument also a truth value's, an integer's, and, where the signature says
                      'n', a numeric string's */
    const char *text;               /* LOOM_ITEM_STRING (UTF-8), LOOM_ITEM_BYTES; not NUL-terminated */
    uint64_t length;                /* bytes of `text`; items of a sequence; fields of a record */
    const loom_plugin_value *items; /* `length` of them: LOOM_ITEM_SEQUENCE, LOOM_ITEM_RECORD */
    const loom_plugin_value *names; /* of the items of a record: strings */
    const loom_image_info *image;   /* LOOM_ITEM_IMAGE, voxels mapped read-only. As a result: whatever new_image gave */
    const uint8_t *value_id;        /* LOOM_ITEM_REFERENCE (arguments only): 32 bytes; see fetch */
};

/* What a kernel may ask for. Every function belongs to the thread of the call. */
typedef struct loom_plugin_host {
    size_t size; /* of this struct: later versions append */
    /* Space for the one image that the call results in, of the dtype, rank, components, extent, spacing, origin and
     * direction of `like` (its voxels are not read): *voxels are zero-filled bytes where the result will stay. Makes
     * call->result that image. LOOM_NO_SPACE and others: return what it returned. */
    loom_status (*new_image)(loom_plugin_call *call, const loom_image_info *like, void **voxels);
    /* Memory until the result was taken, zero-filled, for results and for work. NULL: out of memory, return
     * LOOM_NO_MEMORY. */
    void *(*memory)(loom_plugin_call *call, size_t bytes);
    /* What a reference names: the items of a sequence of images come as references. *value is valid during the call. */
    loom_status (*fetch)(loom_plugin_call *call, const loom_plugin_value *reference, loom_plugin_value *value);
    /* Says why the call fails: one line, cause and remedy. Returns `status`, which must not be LOOM_OK:
     * `return call->host->fail(call, LOOM_BAD_ARGUMENT, "the second image is empty; mask it later")`. */
    loom_status (*fail)(loom_plugin_call *call, loom_status status, const char *message);
} loom_plugin_host;

struct loom_plugin_call {
    size_t size; /* of this struct: later versions append */
    const loom_plugin_host *host;
    const loom_plugin_value *arguments;
    uint64_t argument_count;
    loom_plugin_value result; /* null until the kernel sets it */
    void *context;            /* the host's own */
};

/* Arguments have been checked against the signature. Any status but LOOM_OK fails the node. */
typedef loom_status (*loom_plugin_run)(loom_plugin_call *call);

enum {
    LOOM_PLUGIN_SAME_DOMAIN = 64, /* all image arguments lie on one grid, a result image on it too (both are checked) */
    LOOM_PLUGIN_NEW_DOMAIN = 128, /* the result image has a grid of its own */
    LOOM_PLUGIN_NOT_STORED = 256  /* its result means nothing in another process: never stored */
};
enum {
    LOOM_PLUGIN_COST_SCALAR = 0, /* about a microsecond */
    LOOM_PLUGIN_COST_VOXEL = 1,  /* one pass over the voxels */
    LOOM_PLUGIN_COST_FILTER = 2, /* tens of operations a voxel */
    LOOM_PLUGIN_COST_GLOBAL = 3  /* sorting, components, distance maps */
};
#define LOOM_PLUGIN_ANY_ARITY 65535u

/* One operator. */
typedef struct loom_plugin_kernel {
    const char *name; /* "namespace.operator": letters, digits and '_'; not in a namespace of voxloom's own */
    /* A letter for each argument, ':', one for the result; '*' behind the last argument's letter repeats it. n number,
     * b truth value, s string, q sequence, r record, i image, v anything: "ii:i", "iv*:n". The result must be what its
     * letter says. An image as result needs LOOM_PLUGIN_SAME_DOMAIN, and an image among the arguments, or
     * LOOM_PLUGIN_NEW_DOMAIN. */
    const char *signature;
    uint32_t arity_min, arity_max; /* LOOM_PLUGIN_ANY_ARITY: no limit */
    uint32_t flags;                /* LOOM_PLUGIN_... */
    uint32_t version;              /* 1 to 65535; part of every key, beside the content of the file */
    uint32_t cost;                 /* LOOM_PLUGIN_COST_... */
    uint32_t reserved;             /* 0 */
    const char *doc;               /* one line */
    loom_plugin_run run;
} loom_plugin_kernel;

/* What a plug-in exports. */
typedef struct loom_plugin {
    uint32_t abi;          /* LOOM_PLUGIN_ABI */
    uint32_t kernel_bytes; /* sizeof(loom_plugin_kernel) */
    const loom_plugin_kernel *kernels;
    uint64_t kernel_count; /* at most 1,024 */
} loom_plugin;

/* Its initialiser, from an array of kernels. */
#define LOOM_PLUGIN(kernels_)                                                                                          \
    { LOOM_PLUGIN_ABI, sizeof(loom_plugin_kernel), (kernels_), sizeof(kernels_) / sizeof((kernels_)[0]) }

/* Defined by the plug-in. */
extern LOOM_API const loom_plugin voxloom_plugin;

#ifdef __cplusplus
}
#endif
#endif
