/* core_claims.c - see core_claims.h. */
#include "runtime/coordinator/core_claims.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/platform_file.h"

struct loom_core_claims {
    int fd;
};

/* An existing file first: in a folder like /tmp the kernel may refuse O_CREAT on a file of another user. */
static int open_or_make(const char *path) {
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = open(path, flags);
    if (fd >= 0 || errno != ENOENT) return fd;
    fd = open(path, flags | O_CREAT | O_EXCL, 0666);
    if (fd < 0 && errno == EEXIST) return open(path, flags); /* another run was faster */
    if (fd >= 0) (void)fchmod(fd, 0666);                     /* in spite of the umask; if refused, others do without */
    return fd;
}

loom_status loom_core_claims_open(const char *path, loom_core_claims **claims, loom_error *err) {
    struct stat facts;
    *claims = NULL;
    int fd = open_or_make(path);
    if (fd < 0) return loom_fail_errno(err, errno, "cannot open %s; set workers.claims to a file for all runs", path);
    bool regular = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    loom_core_claims *made = regular ? malloc(sizeof *made) : NULL;
    if (made) {
        made->fd = fd;
        *claims = made;
        return LOOM_OK;
    }
    close(fd);
    return regular ? loom_fail(err, LOOM_NO_MEMORY, "out of memory while opening %s", path)
                   : loom_fail(err, LOOM_UNSUPPORTED, "%s is not a file; set workers.claims to one for all runs", path);
}

bool loom_core_claim(loom_core_claims *claims, uint32_t cpu) {
    return loom_file_lock(claims->fd, cpu, 1, true) == 0;
}

void loom_core_claims_close(loom_core_claims *claims) {
    if (!claims) return;
    close(claims->fd);
    free(claims);
}
