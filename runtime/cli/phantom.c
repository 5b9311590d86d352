/* phantom.c - builds a head from nested ellipsoids and noise: scalp, skull, folded cortex, white matter, ventricles, a
 * bright tumour in an oedema, a bias field and Rician noise (H. Gudbjartsson, S. Patz, "The Rician distribution of
 * noisy MRI data", Magn. Reson. Med. 34, 1995). The background is 0 but for rare specks, as in skull-stripped studies.
 *
 * Lengths are millimetres of a 240 x 240 x 155 mm head, axes as in ITK (x to the left, y backwards, z up), origin in
 * the middle of the volume. Random numbers are hashes of (seed, place), so no voxel depends on the order of
 * computation. */
#include "runtime/cli/phantom.h"

#include <math.h>
#include <stdlib.h>

#include "io/volume.h"

typedef struct point {
    double x, y, z;
} point;

typedef struct ellipsoid {
    point centre, radii;
} ellipsoid;

/* What the seed decides. */
typedef struct anatomy {
    uint64_t seed;
    double stretch[3]; /* of the head along each axis, about 1 */
    ellipsoid core, oedema;
    double bias[5]; /* of x, y, z, xy, xx */
} anatomy;

enum {
    SCALP = 350,
    FAT = 470,
    SKULL = 70,
    MARROW = 150,
    FLUID = 55,
    GREY = 430,
    DEEP_GREY = 385,
    WHITE = 330,
    OEDEMA = 660,
    CORE = 840
};

#define NOISE 17.0

/* ---- random numbers ---- */

/* One step of splitmix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t bits) {
    bits += 0x9e3779b97f4a7c15u;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

/* In [-1, 1), for a lattice point of a channel. */
static double hash_at(uint64_t seed, unsigned channel, int64_t x, int64_t y, int64_t z) {
    uint64_t place = ((uint64_t)x & 0xfffff) | ((uint64_t)y & 0xfffff) << 20 | ((uint64_t)z & 0xfffff) << 40;
    uint64_t bits = mix(mix(seed + channel * 0x632be59bd9b4e019u) ^ place);
    return (double)(int64_t)(bits >> 11) * 0x1p-52 - 1.0;
}

/* Nearly normal with deviation 1: the sum of four uniform numbers. */
static double normal(uint64_t bits) {
    int64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += (int64_t)(bits >> (16 * i) & 0xffff);
    return (double)(sum - 2 * 65535) * (1.7320508075688772 / 65536.0);
}

/* ---- smooth functions ---- */

static double clamp01(double value) {
    return value < 0.0 ? 0.0 : value > 1.0 ? 1.0 : value;
}

/* From a at d <= 0 to b at d >= 1, for partial-volume borders of one millimetre. */
static double blend(double a, double b, double d) {
    return a + (b - a) * clamp01(d);
}

static double fade(double t) {
    return t * t * (3.0 - 2.0 * t);
}

/* Value noise in (-1, 1): random numbers on a lattice, smoothly interpolated. */
static double noise(uint64_t seed, unsigned channel, point p, double pitch) {
    double gx = p.x / pitch, gy = p.y / pitch, gz = p.z / pitch;
    int64_t ix = (int64_t)floor(gx), iy = (int64_t)floor(gy), iz = (int64_t)floor(gz);
    double wx = fade(gx - (double)ix), wy = fade(gy - (double)iy), wz = fade(gz - (double)iz);
    double plane[2];
    for (int dz = 0; dz < 2; dz++) {
        double line[2];
        for (int dy = 0; dy < 2; dy++) {
            double a = hash_at(seed, channel, ix, iy + dy, iz + dz);
            double b = hash_at(seed, channel, ix + 1, iy + dy, iz + dz);
            line[dy] = a + (b - a) * wx;
        }
        plane[dz] = line[0] + (line[1] - line[0]) * wy;
    }
    return plane[0] + (plane[1] - plane[0]) * wz;
}

/* About the distance to the surface in millimetres, positive inside. */
static double depth_in(const ellipsoid *e, point p) {
    double x = (p.x - e->centre.x) / e->radii.x, y = (p.y - e->centre.y) / e->radii.y,
           z = (p.z - e->centre.z) / e->radii.z;
    double r2 = x * x + y * y + z * z;
    double smallest = e->radii.x < e->radii.y ? e->radii.x : e->radii.y;
    if (e->radii.z < smallest) smallest = e->radii.z;
    return (1.0 - sqrt(r2)) * smallest;
}

static double smaller(double a, double b) {
    return a < b ? a : b;
}
static double larger(double a, double b) {
    return a > b ? a : b;
}

/* ---- the head ---- */

static anatomy make_anatomy(uint64_t seed) {
    anatomy a = {.seed = mix(seed ^ 0x766f786c6f6f6d21u)};
    double u[16];
    for (unsigned i = 0; i < 16; i++)
        u[i] = hash_at(a.seed, 99, i, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        a.stretch[i] = 1.0 + 0.03 * u[i];
    double side = u[3] < 0.0 ? -1.0 : 1.0;
    a.core.centre = (point){side * (31.0 + 4.0 * u[4]), 2.0 + 26.0 * u[5], 22.0 + 8.0 * u[6]};
    a.core.radii = (point){13.0 + 2.0 * u[7], 15.0 + 2.5 * u[8], 13.0 + 2.0 * u[9]};
    a.oedema.centre = (point){a.core.centre.x - side * 2.0, a.core.centre.y + 4.0 * u[10], a.core.centre.z};
    a.oedema.radii = (point){a.core.radii.x + 8.0, a.core.radii.y + 12.0, a.core.radii.z + 9.0};
    for (unsigned i = 0; i < 5; i++)
        a.bias[i] = 0.045 * u[11 + i];
    return a;
}

/* The dark fluid of the ventricles: how deep in it, in millimetres. Both halves are alike. */
static double ventricle_depth(point p) {
    static const ellipsoid bodies[] = {
        {{9.0, -4.0, 14.0}, {5.0, 25.0, 7.0}},   /* body of the lateral ventricle */
        {{14.0, -22.0, 12.0}, {5.5, 10.0, 7.0}}, /* frontal horn */
        {{17.0, 24.0, 8.0}, {5.5, 15.0, 7.5}},   /* trigone and occipital horn */
        {{0.0, 3.0, -1.0}, {2.2, 11.0, 8.0}},    /* third ventricle */
        {{0.0, 34.0, -32.0}, {6.0, 5.0, 9.0}},   /* fourth ventricle */
    };
    p.x = fabs(p.x);
    double depth = -1e9;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        depth = larger(depth, depth_in(&bodies[i], p));
    return depth;
}

static double deep_grey_depth(point p) {
    static const ellipsoid thalamus = {{11.0, 10.0, 2.0}, {8.0, 13.0, 8.0}},
                           striatum = {{22.0, -10.0, 4.0}, {6.0, 17.0, 10.0}};
    p.x = fabs(p.x);
    return larger(depth_in(&thalamus, p), depth_in(&striatum, p));
}

/* Distance to the nearest outer surface of the cortex: of the brain, of a sulcus, of the fissure between the halves. */
static double cortex_distance(const anatomy *a, point p, double depth) {
    double fold = fabs(noise(a->seed, 1, p, 13.0) + 0.35 * noise(a->seed, 2, p, 6.5));
    double other = fabs(noise(a->seed, 8, p, 17.0) + 0.25 * noise(a->seed, 9, p, 7.0));
    double sulcus = smaller(fold * 12.0, other * 15.0) + larger(0.0, depth - 17.0) * 0.8;
    double wobble = 1.5 * noise(a->seed, 3, p, 30.0);
    double below = larger(0.0, 18.0 - p.z) * (fabs(p.y) > 48.0 ? 0.15 : 1.0);
    double fissure = fabs(p.x + wobble) + 0.5 * below;
    return smaller(smaller(depth, sulcus), fissure);
}

static double brain_signal(const anatomy *a, point p, double depth) {
    double cortex = cortex_distance(a, p, depth);
    double signal = blend(FLUID, GREY, cortex - 0.3);
    signal = blend(signal, WHITE, cortex - 3.4);
    signal = blend(signal, DEEP_GREY, deep_grey_depth(p));
    double ventricle = ventricle_depth(p);
    /* The tumour spares fluid and stays off the surface; its edges are ragged, the oedema's more. */
    double ragged = noise(a->seed, 4, p, 9.0);
    double rim = smaller(ragged * 2.0 + 1.0, 2.0);
    double oedema = depth_in(&a->oedema, p) + 5.0 * ragged + 2.0 * noise(a->seed, 5, p, 4.5);
    signal = blend(signal, OEDEMA + 25.0 * ragged, smaller(oedema, depth - 4.0));
    signal = blend(signal, CORE + 60.0 * noise(a->seed, 6, p, 5.0), smaller(depth_in(&a->core, p) + rim, depth - 3.0));
    return blend(signal, FLUID, ventricle);
}

/* Without noise; 0 outside the head. */
static double head_signal(const anatomy *a, point p) {
    static const ellipsoid head = {{0.0, 0.0, -4.0}, {82.0, 102.0, 79.0}},
                           brain = {{0.0, 0.0, -3.0}, {70.0, 89.5, 67.0}};
    p.x /= a->stretch[0];
    p.y /= a->stretch[1];
    p.z /= a->stretch[2];
    /* Narrower in front. */
    point shaped = {p.x * (1.0 - 0.0009 * p.y), p.y, p.z};
    double skin = depth_in(&head, shaped);
    if (skin <= 0.0) return 0.0;
    double depth = depth_in(&brain, shaped) + 1.2 * noise(a->seed, 7, p, 22.0);
    double signal;
    if (depth > 0.0) {
        signal = brain_signal(a, p, depth);
    } else {
        signal = blend(SCALP, FAT, skin - 2.5);
        signal = blend(signal, SCALP, skin - 4.2);
        signal = blend(signal, SKULL, skin - 6.5);
        signal = blend(signal, MARROW, skin - 8.5);
        signal = blend(signal, SKULL, skin - 10.0);
        signal = blend(signal, FLUID, depth + 2.5);
    }
    double x = p.x / 82.0, y = p.y / 102.0, z = p.z / 79.0;
    double bias = a->bias[0] * x + a->bias[1] * y + a->bias[2] * z + a->bias[3] * x * y + a->bias[4] * x * x;
    return signal * (1.0 + bias);
}

static int16_t voxel(const anatomy *a, point p, uint64_t index) {
    uint64_t bits = mix(a->seed ^ mix(index));
    double signal = head_signal(a, p);
    if (signal <= 0.0) return (bits & 1023) == 0 ? (int16_t)(1 + (bits >> 10 & 3)) : 0;
    double real = signal + NOISE * normal(bits), imaginary = NOISE * normal(mix(bits));
    double magnitude = floor(sqrt(real * real + imaginary * imaginary) + 0.5);
    return (int16_t)(magnitude < 1.0 ? 1.0 : magnitude);
}

static void fill(const anatomy *a, const uint64_t size[3], int16_t *voxels) {
    uint64_t index = 0;
    for (uint64_t z = 0; z < size[2]; z++)
        for (uint64_t y = 0; y < size[1]; y++)
            for (uint64_t x = 0; x < size[0]; x++, index++) {
                point p = {((double)x + 0.5) / (double)size[0] * 240.0 - 120.0,
                           ((double)y + 0.5) / (double)size[1] * 240.0 - 120.0,
                           ((double)z + 0.5) / (double)size[2] * 155.0 - 77.5};
                voxels[index] = voxel(a, p, index);
            }
}

static loom_status check_size(const uint64_t size[3], loom_error *err) {
    for (unsigned axis = 0; axis < 3; axis++)
        if (size[axis] < 1 || size[axis] > LOOM_PHANTOM_EDGE_MAX)
            return loom_fail(err, LOOM_BAD_ARGUMENT, "a phantom of %llu voxels along axis %u; use 1 to %u",
                             (unsigned long long)size[axis], axis + 1, LOOM_PHANTOM_EDGE_MAX);
    if (size[0] * size[1] * size[2] > LOOM_PHANTOM_VOXELS_MAX)
        return loom_fail(err, LOOM_BAD_ARGUMENT, "a phantom of %llux%llux%llu voxels; use at most 2^30 in all",
                         (unsigned long long)size[0], (unsigned long long)size[1], (unsigned long long)size[2]);
    return LOOM_OK;
}

loom_status loom_phantom_write(const char *path, const uint64_t size[3], uint64_t seed, loom_error *err) {
    LOOM_TRY(check_size(size, err));
    int16_t *voxels = malloc((size_t)(size[0] * size[1] * size[2]) * sizeof *voxels);
    if (!voxels) return loom_fail(err, LOOM_NO_MEMORY, "no memory for a phantom; use a smaller --size");
    anatomy a = make_anatomy(seed);
    fill(&a, size, voxels);
    loom_image_header header = loom_image_header_make(LOOM_I16, 3, size);
    for (unsigned axis = 0; axis < 3; axis++)
        header.origin[axis] = -0.5 * (double)(size[axis] - 1);
    loom_status status = loom_volume_write(path, &header, voxels, err);
    free(voxels);
    return status;
}
