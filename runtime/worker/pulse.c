/* pulse.c - see pulse.h. */
#include "runtime/worker/pulse.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "shm/segment/signs.h"

#define BEAT_MS 250 /* the shortest workers.heartbeat is four times this */

static struct {
    pthread_mutex_t lock; /* of `segment`: it is not closed within a beat */
    const loom_segment *segment;
    int lifeline;
} pulse = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void beat(void) {
    pthread_mutex_lock(&pulse.lock);
    if (pulse.segment) loom_segment_beat(pulse.segment);
    pthread_mutex_unlock(&pulse.lock);
}

static void *live(void *unused) {
    (void)unused;
    for (;;) {
        struct pollfd end = {.fd = pulse.lifeline, .events = POLLIN};
        int ready = poll(&end, 1, BEAT_MS);
        if (ready > 0 || (ready < 0 && errno != EINTR)) _exit(0);
        beat();
    }
}

int loom_pulse_start(int lifeline) {
    pthread_t thread;
    pulse.lifeline = lifeline;
    int failed = pthread_create(&thread, NULL, live, NULL);
    if (!failed) pthread_detach(thread);
    return failed;
}

void loom_pulse_in(const loom_segment *segment) {
    pthread_mutex_lock(&pulse.lock);
    pulse.segment = segment;
    pthread_mutex_unlock(&pulse.lock);
    if (segment) beat();
}
