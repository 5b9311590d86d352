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

#include "shm/platform_file.h"

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
 * time. The time ends by SIGXCPU: at the hard limit it would be SIGKILL, which a lack of memory is too. */
static void prepare_child(unsigned seconds) {
    const struct rlimit no_core = {0, 0}, time = {seconds, seconds + 5};
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGXCPU, SIGTERM, SIGINT};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setrlimit(RLIMIT_CPU, &time);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL);
    loom_file_close_from(STDERR_FILENO + 1); /* locks and pipes by which others see that we live, if we die meanwhile */
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0) return;
    (void)dup2(nowhere, STDERR_FILENO);
    (void)dup2(nowhere, STDOUT_FILENO);
}

/* Why a child ended that had not done its work. Not every death is the file's fault. */
static loom_status fail_by(int wait_status, const char *path, unsigned seconds, loom_error *err) {
    int by = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    if (by == SIGXCPU)
        return loom_fail(err, LOOM_TOO_LARGE,
                         "%s: reading it took more than %u s of processor time; convert it, e.g. with dcm2niix", path,
                         seconds);
    if (by == SIGKILL)
        return loom_fail(err, LOOM_NO_MEMORY,
                         "%s: the process that read it was killed, most likely for want of memory; close other "
                         "programs or use fewer workers",
                         path);
    if (by == SIGINT || by == SIGTERM || by == SIGHUP)
        return loom_fail(err, LOOM_IO, "%s: the process that read it was told to end; run again", path);
    return loom_fail(err, LOOM_BAD_INPUT,
                     "%s: the DICOM data is damaged (its reader broke down); get a fresh copy of the file", path);
}

/* Its wait status; 0 if somebody else reaped it. */
static int wait_for(pid_t child) {
    int wait_status = 0;
    while (waitpid(child, &wait_status, 0) < 0)
        if (errno != EINTR) return 0;
    return wait_status;
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
        int wait_status = wait_for(child);
        status = result->done ? result->status : fail_by(wait_status, path, seconds, err);
        if (result->done && status != LOOM_OK && err) *err = result->err;
    }
    loom_shared_free(result, sizeof *result);
    return status;
}
