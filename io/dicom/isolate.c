/* isolate.c - a child by fork: it shares our address space as it was, calls nothing but the work, and leaves by _exit.
 */
#include "io/dicom/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct outcome {
    bool done;
    loom_status status;
    loom_error err;
} outcome;

void *loom_shared_alloc(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void loom_shared_free(void *memory, size_t bytes) {
    if (memory) munmap(memory, bytes);
}

/* No core dump with somebody's images, no message of the library on the user's terminal, no handler of ours, no end of
 * time. */
static void prepare_child(unsigned seconds) {
    const struct rlimit no_core = {0, 0}, time = {seconds, seconds};
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGXCPU, SIGTERM, SIGINT};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setrlimit(RLIMIT_CPU, &time);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) (void)dup2(nowhere, STDERR_FILENO);
}

static void wait_for(pid_t child) {
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

loom_status loom_isolated(const char *path, loom_isolated_work *work, void *argument, unsigned seconds,
                          loom_error *err) {
    outcome *result = loom_shared_alloc(sizeof *result);
    if (!result) return loom_fail(err, LOOM_NO_MEMORY, "%s: no memory to read it", path);
    pid_t child = fork();
    if (child == 0) {
        prepare_child(seconds);
        result->status = work(argument, &result->err);
        result->done = true;
        _exit(0);
    }
    loom_status status;
    if (child < 0) {
        status = loom_fail_errno(err, errno, "%s: no process could be started to read it", path);
    } else {
        wait_for(child);
        status = result->done
                     ? result->status
                     : loom_fail(err, LOOM_BAD_INPUT,
                                 "%s: the DICOM data is damaged (its reader broke down); get a fresh copy of the file",
                                 path);
        if (result->done && status != LOOM_OK && err) *err = result->err;
    }
    loom_shared_free(result, sizeof *result);
    return status;
}
