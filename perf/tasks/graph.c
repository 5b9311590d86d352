/* graph.c - see graph.h. */
#include "perf/tasks/graph.h"

#include <string.h>
#include <time.h>

const char *const graph_shape_names[SHAPE_COUNT] = {"trivial", "stencil", "fft", "tree", "random"};

#define VALUE_MASK ((UINT64_C(1) << 50) - 1)

uint64_t graph_tasks(const graph *of) {
    return (uint64_t)of->width * of->layers;
}

static uint32_t mix(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x45d9f3bu;
    x = (x ^ (x >> 16)) * 0x45d9f3bu;
    return x ^ (x >> 16);
}

static uint32_t log2_of(uint32_t width) {
    uint32_t log = 0;
    while (1u << (log + 1) <= width)
        log++;
    return log > 0 ? log : 1;
}

uint32_t graph_needs(const graph *of, uint32_t layer, uint32_t column, uint32_t needs[GRAPH_NEEDS_MAX]) {
    uint32_t count = 0, stride = 1u << (layer % log2_of(of->width));
    switch (of->shape) {
    case SHAPE_STENCIL:
        if (column > 0) needs[count++] = column - 1;
        needs[count++] = column;
        if (column + 1 < of->width) needs[count++] = column + 1;
        break;
    case SHAPE_FFT:
        if (column >= stride) needs[count++] = column - stride;
        needs[count++] = column;
        if (column + stride < of->width) needs[count++] = column + stride;
        break;
    case SHAPE_TREE:
        needs[count++] = 2 * column % of->width;
        needs[count++] = (2 * column + 1) % of->width;
        break;
    case SHAPE_RANDOM: /* its own column and one to five others, without repetition */
        needs[count++] = column;
        for (uint32_t i = 0, wanted = 1 + mix(layer * 7919 + column) % 5; i < wanted; i++) {
            uint32_t need = mix((layer * 31 + i) * 104729 + column) % of->width;
            bool known = false;
            for (uint32_t k = 0; k < count; k++)
                known |= needs[k] == need;
            if (!known) needs[count++] = need;
        }
        break;
    default:
        break;
    }
    return count;
}

double graph_salt(const graph *of, uint32_t layer, uint32_t column) {
    return of->shape == SHAPE_TRIVIAL ? (double)layer * of->width + column : column;
}

double graph_value(double salt, const double *needed, uint32_t count) {
    uint64_t sum = (uint64_t)salt + 1;
    for (uint32_t i = 0; i < count; i++)
        sum += 31 * (uint64_t)needed[i];
    return (double)(sum & VALUE_MASK);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void graph_work(double work_us) {
    if (work_us <= 0) return;
    uint64_t end = now_ns() + (uint64_t)(work_us * 1000);
    while (now_ns() < end) {
    }
}

void graph_expected(const graph *of, double values[GRAPH_WIDTH_MAX]) {
    double before[GRAPH_WIDTH_MAX] = {0}, needed[GRAPH_NEEDS_MAX];
    uint32_t needs[GRAPH_NEEDS_MAX];
    memset(values, 0, sizeof before);
    for (uint32_t layer = 0; layer < of->layers; layer++) {
        memcpy(before, values, sizeof before);
        for (uint32_t column = 0; column < of->width; column++) {
            uint32_t count = layer > 0 ? graph_needs(of, layer, column, needs) : 0;
            for (uint32_t i = 0; i < count; i++)
                needed[i] = before[needs[i]];
            double value = graph_value(graph_salt(of, layer, column), needed, count);
            values[column] = of->shape == SHAPE_TRIVIAL ? before[column] + value : value;
        }
    }
}
