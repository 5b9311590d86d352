/* sort.cpp - the peer of percentiles: ranks by sorting, each thread a share, then merging. See itk.h. */
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "perf/kernels/itk.h"

static unsigned threads = 1;

void sort_use_threads(unsigned count) {
    threads = count;
}

struct Entry {
    float value;
    uint32_t voxel;
    bool operator<(const Entry &other) const { return value < other.value; }
};

static void sort(std::vector<Entry> &entries) {
    std::vector<std::thread> running;
    std::vector<size_t> ends(threads + 1);
    for (unsigned k = 0; k <= threads; k++)
        ends[k] = entries.size() * k / threads;
    for (unsigned k = 0; k < threads; k++)
        running.emplace_back(
            [&, k] { std::sort(entries.begin() + long(ends[k]), entries.begin() + long(ends[k + 1])); });
    for (auto &thread : running)
        thread.join();
    for (unsigned k = 1; k < threads; k++)
        std::inplace_merge(entries.begin(), entries.begin() + long(ends[k]), entries.begin() + long(ends[k + 1]));
}

/* The share of the mask's voxels that are darker, -1 outside the mask. */
double sort_percentiles(const itk_images *images, void *out) {
    auto start = std::chrono::steady_clock::now();
    uint64_t total = images->size[0] * images->size[1] * images->size[2];
    std::vector<float> result(total, -1.0f);
    std::vector<Entry> entries;
    for (uint64_t v = 0; v < total; v++)
        if (images->mask[v]) entries.push_back({images->scalars[v], uint32_t(v)});
    sort(entries);
    for (size_t first = 0, k = 0; k < entries.size(); k++) {
        if (entries[first].value < entries[k].value) first = k;
        result[entries[k].voxel] = float(double(first) / double(entries.size()));
    }
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (out != nullptr) std::copy(result.begin(), result.end(), static_cast<float *>(out));
    return seconds;
}
