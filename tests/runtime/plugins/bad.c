/* bad.c - plug-ins that must be refused; BAD says what is wrong with this one. */
#include <voxloom/kernel.h>

enum {
    FINE = 0,
    NO_TABLE = 1,
    OTHER_ABI = 2,
    TAKEN = 3,
    CLASH = 4,
    NAME = 5,
    SIGNATURE = 6,
    GRID = 7,
    VERSION = 8,
    NO_CODE = 9
};

#if BAD == 1
LOOM_API const int some_other_symbol = 1;
#else
static loom_status nothing(loom_plugin_call *call) {
    (void)call;
    return LOOM_OK;
}

static const loom_plugin_kernel kernels[] = {{
    BAD == TAKEN   ? "vox1.near"
    : BAD == CLASH ? "toy.twice"
    : BAD == NAME  ? "nonsense"
                   : "bad.kernel",
    BAD == SIGNATURE ? "x:n"
    : BAD == GRID    ? "n:i"
                     : "n:n",
    1,
    1,
    0,
    BAD == VERSION ? 70000 : 1,
    LOOM_PLUGIN_COST_SCALAR,
    0,
    "",
    BAD == NO_CODE ? 0 : nothing,
}};

const loom_plugin voxloom_plugin = {BAD == OTHER_ABI ? LOOM_PLUGIN_ABI + 1 : LOOM_PLUGIN_ABI,
                                    sizeof(loom_plugin_kernel), kernels, 1};
#endif
