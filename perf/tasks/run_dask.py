"""The graph of perf/tasks/graph.c through dask.distributed: run_dask.py SHAPE WIDTH LAYERS WORK_US WORKERS."""
import sys
import time

from dask.distributed import Client, LocalCluster

MASK = (1 << 50) - 1


def mix(x):
    x &= 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def needs(shape, width, layer, column):
    if shape == "stencil":
        return [c for c in (column - 1, column, column + 1) if 0 <= c < width]
    if shape == "fft":
        stride = 1 << (layer % max(width.bit_length() - 1, 1))
        return [c for c in (column - stride, column, column + stride) if 0 <= c < width]
    if shape == "tree":
        return [2 * column % width, (2 * column + 1) % width]
    if shape == "random":
        found = [column]
        for i in range(1 + mix(layer * 7919 + column) % 5):
            need = mix((layer * 31 + i) * 104729 + column) % width
            if need not in found:
                found.append(need)
        return found
    return []


def task(work_us, salt, needed):
    if work_us > 0:
        end = time.perf_counter() + work_us * 1e-6
        while time.perf_counter() < end:
            pass
    return (salt + 1 + sum(31 * n for n in needed)) & MASK


def main():
    shape, width, layers, work_us, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    trivial = shape == "trivial"
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(task, 0, 0, []).result()
        start = time.perf_counter()
        graph = {}
        for layer in range(layers):
            for column in range(width):
                needed = [("t", layer - 1, c) for c in needs(shape, width, layer, column)] if layer else []
                graph[("t", layer, column)] = (task, work_us, layer * width + column if trivial else column, needed)
        wanted = [("t", layer, column) for layer in (range(layers) if trivial else [layers - 1]) for column in range(width)]
        values = client.get(graph, wanted)
        print("seconds", time.perf_counter() - start)
    for column in range(width):
        print("value", sum(values[column::width]))


if __name__ == "__main__":
    main()
