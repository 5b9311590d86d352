/* Programs and what they print, in VoxLogicA-2's exact format; what open names (border, x, tt, constant) mean where
 * images of different size meet them; and how little is computed for what is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "volumes.h"

/* Voxel (x, y, z) of every test volume is 1 + x + 10 y + 100 z: all different, all above 0. */
static float coordinate(int x, int y, int z) {
    return (float)(1 + x + 10 * y + 100 * z);
}

static void make_volumes(scene *at) {
    volume_make(at, "a.nii.gz", 4, 4, 4, coordinate); /* border: 64 - 8 = 56 voxels */
    volume_make(at, "b.nii", 5, 4, 3, coordinate);    /* border: 60 - 3*2*1 = 54 */
    volume_make(at, "same.nii", 4, 4, 4, coordinate);
}

typedef struct example {
    const char *program, *prints;
} example;

static void check_examples(scene *at, const example *examples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        outcome result = run_text(at, examples[i].program, "--store :memory:");
        if (result.status != 0 || strcmp(result.out, examples[i].prints) != 0)
            fail_msg("%s\ngives exit status %d and prints\n%s%s\ninstead of\n%s", examples[i].program, result.status,
                     result.out, result.err, examples[i].prints);
    }
}
#define CHECK(at, examples) check_examples((at), (examples), sizeof(examples) / sizeof(examples)[0])

static void test_scalars(void **state) {
    static const example examples[] = {
        {"print \"a\" 1 + 2\nprint \"b\" 7 / 2\nprint \"c\" 1 + 2 * 3\nprint \"d\" 1 + (2 * 3)\nprint \"e\" 0.1 + 0.2\n"
         "print \"f\" -3\nprint \"g\" 5 - -3\nprint \"h\" 1e-5\nprint \"i\" 1e16\nprint \"j\" 123456789\n"
         "print \"k\" 1e999\nprint \"l\" 1e22 * 10\nprint \"m\" 1e15 * 10\nprint \"n\" -0\nprint \"o\" 2 / 3\n"
         "print \"p\" 1e999 - 1e999\n",
         "a=3.0\nb=3.5\nc=9.0\nd=7.0\ne=0.30000000000000004\n"
         "f=-3.0\ng=8.0\nh=1e-05\ni=1e+16\nj=123456789.0\n"
         "k=inf\nl=1e+23\nm=1e+16\nn=-0.0\no=0.6666666666666666\n"
         "p=nan\n"},
        {"import \"vox1\"\nprint \"a\" 7 ./. 2 .*. 3\nprint \"b\" 5 .-. 7 .+. 1\nprint \"c\" 1 .<. 2\nprint \"d\" 2 "
         ".=. 3\n"
         "print \"e\" true .&. false\nprint \"f\" true .|. false\nprint \"g\" !.(true)\nprint \"h\" 2 .>=. 2\n",
         "a=10.5\nb=-1.0\nc=True\nd=False\ne=False\nf=True\ng=False\nh=True\n"},
        {"print \"a\" 1 < 2\nprint \"b\" 2 <= 1\nprint \"c\" 3 == 3\nprint \"d\" 3 != 3\nprint \"e\" num_gt(3, 2)\n"
         "print \"f\" true\nprint \"g\" ! true\nprint \"h\" ! 0\nprint \"i\" true && false\nprint \"j\" false || 2\n"
         "print \"k\" ! (1 > 2) && true\n",
         "a=True\nb=False\nc=True\nd=False\ne=True\nf=True\ng=False\nh=True\ni=False\nj=True\nk=True\n"},
    };
    CHECK(*state, examples);
}

static void test_strings_and_sequences(void **state) {
    static const example examples[] = {
        {"print \"a\" \"hello world\"\nprint \"b\" [\"it's\", \"plain\", \"both ' and \\\"\", \"back\\slash\", "
         "\"\xc3\xa9\"]\n"
         "print \"c\" \"a\\nb\"\nprint \"d\" \"\"\nprint \"e\" [\"\"]\nprint \"f\" \"abc\"[1]\n"
         "print \"g\" for c in \"ab\" do c\n",
         "a=hello world\nb=[\"it's\", 'plain', 'both \\' and \\\\\"', 'back\\\\slash', '\xc3\xa9']\n"
         "c=a\\nb\nd=\ne=['']\nf=b\n"
         "g=['a', 'b']\n"},
        {"print \"a\" [1, 2.5]\nprint \"b\" []\nprint \"c\" [true, [1, [\"x\"]], []]\nprint \"d\" range(3)\n"
         "print \"e\" range(2, 5)\nprint \"f\" range(0)\nprint \"g\" range(5, 2)\nprint \"h\" range(7)[3]\n"
         "print \"i\" [range(2), range(1)][0][1]\nprint \"j\" argmax([1, 5, 5, 2])\n"
         "print \"k\" sequence(1, 2)\nprint \"l\" [1, 2] + 10\nprint \"m\" [1, 2] * [3, 4]\nprint \"n\" range(3) > 1\n",
         "a=[1.0, 2.5]\nb=[]\nc=[True, [1.0, ['x']], []]\nd=[0, 1, 2]\n"
         "e=[2, 3, 4]\nf=[]\ng=[]\nh=3\n"
         "i=1\nj=1\nk=[1.0, 2.0]\nl=[11.0, 12.0]\nm=[3.0, 8.0]\nn=[False, False, True]\n"},
        {"xs = range(10)\nprint \"a\" xs[2:5]\nprint \"b\" xs[:3]\nprint \"c\" xs[7:]\nprint \"d\" xs[:]\nprint \"e\" "
         "xs[5:2]\n"
         "print \"f\" xs[-3:]\nprint \"g\" xs[8:100]\nprint \"h\" subsequence(xs, 2, 4)\nprint \"i\" subsequence(xs, "
         "3)\n"
         "print \"j\" subsequence(xs, -5, 2)\nprint \"k\" xs[2:9][1:3][0]\n"
         "ys = for x in xs do x * x\nprint \"l\" ys[2:5]\nprint \"m\" ys[2:9][1:3]\nprint \"n\" subsequence(ys, 8, "
         "20)\n",
         "a=[2, 3, 4]\nb=[0, 1, 2]\nc=[7, 8, 9]\nd=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\ne=[]\n"
         "f=[7, 8, 9]\ng=[8, 9]\nh=[2, 3]\ni=[0, 1, 2]\n"
         "j=[0, 1]\nk=3\n"
         "l=[4.0, 9.0, 16.0]\nm=[9.0, 16.0]\nn=[64.0, 81.0]\n"},
        {"f(x) = x + 1\nprint \"a\" for x in [] do f(x)\nprint \"b\" map(f, [])\nprint \"c\" filter x in [] do true\n"
         "print \"d\" fold + []\nprint \"e\" fold * []\nprint \"f\" fold && []\nprint \"g\" fold || []\n"
         "print \"h\" [][0:2]\nprint \"i\" for x in range(0) do [x]\nprint \"j\" filter x in range(3) do x > 5\n",
         "a=[]\nb=[]\nc=[]\nd=0\ne=1\nf=True\ng=False\nh=[]\ni=[]\nj=[]\n"},
    };
    CHECK(*state, examples);
}

static void test_loops(void **state) {
    static const example examples[] = {
        {"k = 10\nprint \"a\" for x in range(3) do x + k\nprint \"b\" for x in range(2) do for y in range(3) do x * 10 "
         "+ y\n"
         "print \"c\" for x in [1, 2] do for y in [x, x + 1] do for z in [y] do [x, y, z + k]\n"
         "print \"d\" filter x in range(5) do x > 2\nprint \"e\" for x in filter y in range(6) do y > 3 do x * 2\n"
         "print \"f\" for xs in [range(2), range(3)] do fold + xs\nprint \"g\" for x in [1, 2] do let y = x * 2 in y + "
         "y\n"
         "print \"h\" filter p in [[1, 2], [3, 4]] do p[0] > 2\nprint \"i\" (for x in range(4) do x * 3)[2]\n",
         "a=[10.0, 11.0, 12.0]\nb=[[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]\n"
         "c=[[[[1.0, 1.0, 11.0]], [[1.0, 2.0, 12.0]]], [[[2.0, 2.0, 12.0]], [[2.0, 3.0, 13.0]]]]\n"
         "d=[3, 4]\ne=[8.0, 10.0]\n"
         "f=[1, 3]\ng=[4.0, 8.0]\n"
         "h=[[3.0, 4.0]]\ni=6.0\n"},
        {"f(x) = x * 2\ng(x, y) = f(x) + y\nk = 5\nh(x) = g(x, k)\nk = 100\nprint \"a\" map(f, range(3))\n"
         "print \"b\" map(h, [1, 2])\nprint \"c\" map(range, [1, 2])\nprint \"d\" for x in range(2) do map(f, [x, 7])\n"
         "print \"e\" for x in range(2) do g(x, k)\nprint \"f\" map(f, map(f, [1]))\n",
         "a=[0.0, 2.0, 4.0]\nb=[7.0, 9.0]\nc=[[0], [0, 1]]\nd=[[0.0, 14.0], [2.0, 14.0]]\n"
         "e=[100.0, 102.0]\nf=[4.0]\n"},
        {"print \"a\" for b in [true, false] do ! b\nprint \"b\" for b in [true, false] do b && true\n"
         "print \"c\" for b in [true, false] do b || false\nprint \"d\" filter b in [1, 0, 2] do ! (b == 0) && true\n"
         "f(b) = ! b\nprint \"e\" map(f, [true, 0])\nprint \"f\" for x in range(2) do for y in range(2) do (x == y) || "
         "! (x < y)\n",
         "a=[False, True]\nb=[True, False]\nc=[True, False]\nd=[1.0, 2.0]\ne=[False, True]\n"
         "f=[[True, False], [True, True]]\n"},
        {"xs = [3, 1, 2]\ntexts = [\"a\", \"b\"]\nprint \"a\" fold + xs\nprint \"b\" fold * xs\nprint \"c\" fold max "
         "xs\n"
         "print \"d\" fold min xs\nprint \"e\" fold - xs\nprint \"f\" fold + 10 xs\nprint \"g\" fold + range(5)\n"
         "print \"h\" fold && [true, 0]\nprint \"i\" fold || [false, 0]\nprint \"j\" fold max range(4)\n"
         "print \"k\" fold / 100 xs\nprint \"l\" fold + \"\" texts\nprint \"m\" fold + (for x in xs do x * 2)\n",
         "a=6.0\nb=6.0\nc=3.0\nd=1.0\ne=-6.0\nf=16.0\ng=10\nh=False\ni=False\nj=3\n"
         "k=16.666666666666668\nl=ab\nm=12.0\n"},
    };
    CHECK(*state, examples);
}

static void test_names(void **state) {
    static const example examples[] = {
        {"x = 1\nx = x + 1\nprint \"a\" x\nlet y = 5\nprint \"b\" let y = y + 1 in y * 2\nprint \"c\" y\nf(x) = x * "
         "10\n"
         "print \"d\" f(3)\nprint \"e\" x\nprint \"f\" for x in [7] do x\nprint \"g\" x\nrange = 3\nprint \"h\" range\n"
         "let +?(p, q) = p * 100 + q\nprint \"i\" 2 +? 3\n$mine = 4\nprint \"j\" $mine\n",
         "a=2.0\nb=12.0\nc=5.0\nd=30.0\ne=2.0\nf=[7.0]\ng=2.0\nh=3.0\ni=203.0\nj=4.0\n"},
        {"// nothing to do\nx = 1 + 2\nf(y) = y / 0\n", ""},
        {"", ""},
        {"print \"same\" 1 + 1\nprint \"same\" 1 + 1\nprint \"other\" 1 + 1\n", "same=2.0\nsame=2.0\nother=2.0\n"},
        /* in program order, though later ones are ready first */
        {"import \"simpleitk\"\na = ReadImage(\"a.nii.gz\")\nprint \"slow\" max(a)\nprint \"quick\" 1\n"
         "print \"slower\" volume(near(near(geq_sv(300, intensity(a)))))\nprint \"last\" 2 + 2\n",
         "slow=334.0\nquick=1.0\nslower=48.0\nlast=4.0\n"},
    };
    make_volumes(*state);
    CHECK(*state, examples);
}

static void test_images(void **state) {
    static const example examples[] = {
        {"import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"a.nii.gz\"))\nprint \"max\" max(a)\nprint "
         "\"min\" min(a)\n"
         "print \"big\" volume(a >=. 300)\nprint \"not\" volume(! (a >=. 300))\nprint \"and\" volume((a >=. 300) & (x "
         "<. 1))\n"
         "print \"both\" (a >=. 300) && (a <. 0)\nprint \"closure not\" for t in [300, 334] do volume(! (a >=. t))\n"
         "print \"closure and\" for t in [300] do (a >=. t) && false\nprint \"sum\" max(a + a)\nprint \"avg\" avg(a, a "
         "<=. 2)\n"
         "print \"half\" max(a /. 2)\nprint \"dist\" max(dt(a <=. 1))\n"
         "print \"map\" map(max, [a, a + a])\nmm = MinimumMaximum(a)\nprint \"mm\" mm\nprint \"mm1\" mm[1]\n"
         "print \"bt\" volume(BinaryThreshold(a, 2, 3, 1, 0))\n",
         "max=334.0\nmin=1.0\nbig=16.0\nnot=48.0\nand=4.0\n"
         "both=True\nclosure not=[48.0, 63.0]\n"
         "closure and=[False]\nsum=668.0\navg=1.5\n"
         "half=167.0\ndist=5.196152210235596\n"
         "map=[334.0, 668.0]\nmm=(1.0, 334.0)\nmm1=334.0\n"
         "bt=2.0\n"},
        /* sequences of images, and items taken from them later */
        {"import \"simpleitk\"\nimport \"vox1\"\na = intensity(ReadImage(\"a.nii.gz\"))\nmasks = for t in [100, 200, "
         "300] do a >=. t\n"
         "print \"one\" volume(masks[1])\nprint \"all\" for m in masks do volume(m)\nprint \"cut\" map(volume, "
         "masks[1:])\n"
         "print \"kept\" for m in filter m in masks do volume(m) > 20 do volume(m)\nboth = [masks, [a]]\n"
         "print \"deep\" volume(both[0][2])\nprint \"sum\" max(fold + masks)\nprint \"list\" volume([a >=. 2, a >=. "
         "3][1])\n",
         "one=32.0\nall=[48.0, 32.0, 16.0]\ncut=[32.0, 16.0]\nkept=[48.0, 32.0]\ndeep=16.0\nsum=3.0\nlist=62.0\n"},
        /* 1.8: `load` of VoxLogicA-1 */
        {"load a = \"a.nii.gz\"\nprint \"max\" max(intensity(a))\n", "max=334.0\n"},
    };
    make_volumes(*state);
    CHECK(*state, examples);
}

static void test_load_notice(void **state) {
    scene *at = *state;
    make_volumes(at);
    outcome result = run_text(at, "load a = \"a.nii.gz\"\nprint \"max\" max(a)\n", "");
    assert_prints(&result, "max=334.0\n");
    const char *notice = strstr(result.err, "note: ");
    assert_non_null(notice);
    assert_contains(notice, "load");
    assert_contains(notice, "ReadImage");
    assert_contains(result.err, "program.imgql:1:1: note: ");
    outcome quiet = run_text(at, "load a = \"a.nii.gz\"\nprint \"max\" max(a)\n", "-q");
    assert_prints(&quiet, "max=334.0\n");
    assert_string_equal(quiet.err, "");
}

/* ---- names that take their size from an image ---- */

#define VOX "import \"simpleitk\"\nimport \"vox1\"\n"

static void test_open_names(void **state) {
    static const example examples[] = {
        /* one border, written outside the loop, is each volume's own inside */
        {VOX "edge = border\nprint \"e\" for c in [\"a.nii.gz\", \"b.nii\"] do volume(edge & (intensity(ReadImage(c)) "
             ">=. 0))\n",
         "e=[56.0, 54.0]\n"},
        {VOX "inner = ! border & tt\nf(c) = volume(inner & (intensity(ReadImage(c)) >=. 0))\n"
             "print \"e\" map(f, [\"a.nii.gz\", \"b.nii\"])\n",
         "e=[8.0, 6.0]\n"},
        {VOX "images = for c in [\"a.nii.gz\", \"b.nii\"] do intensity(ReadImage(c))\nprint \"x\" for i in images do "
             "max(x + (i *. 0))\n"
             "print \"y\" for i in images do max(y + (i *. 0))\nprint \"z\" for i in images do max(z + (i *. 0))\n"
             "print \"tt\" for i in images do volume(tt & (i >=. 0))\nprint \"ff\" for i in images do volume(ff | (i "
             ">=. 12))\n"
             "print \"k\" for i in images do max(i + constant(1000))\nprint \"t\" for i in images do volume(touch(i "
             ">=. 0, border))\n",
         "x=[3.0, 4.0]\ny=[3.0, 3.0]\nz=[3.0, 2.0]\ntt=[64.0, 60.0]\nff=[59.0, 54.0]\nk=[1334.0, 1235.0]\nt=[64.0, "
         "60.0]\n"},
        /* alone, with one input */
        {VOX "a = ReadImage(\"a.nii.gz\")\nprint \"a\" max(a)\nprint \"b\" volume(border)\nprint \"x\" max(x)\nprint "
             "\"tt\" volume(tt)\n"
             "print \"k\" max(constant(2.5))\nprint \"in\" volume(! border)\n",
         "a=334.0\nb=56.0\nx=3.0\ntt=64.0\nk=2.5\nin=8.0\n"},
        /* alone, with two that agree */
        {VOX "print \"a\" max(ReadImage(\"a.nii.gz\") + ReadImage(\"same.nii\"))\nprint \"b\" volume(border)\n",
         "a=668.0\nb=56.0\n"},
        /* named */
        {VOX
         "a = ReadImage(\"a.nii.gz\")\nb = ReadImage(\"b.nii\")\nprint \"b\" [volume(border(a)), volume(border(b))]\n"
         "print \"x\" [max(x(a)), max(x(b)), max(y(b)), max(z(b))]\n",
         "b=[56.0, 54.0]\nx=[3.0, 4.0, 3.0, 2.0]\n"},
        /* two sizes in one program, each border with its own */
        {VOX "a = intensity(ReadImage(\"a.nii.gz\"))\nb = intensity(ReadImage(\"b.nii\"))\nprint \"b\" [volume(border "
             "& (a >=. 0)), "
             "volume((b >=. 0) & border)]\n",
         "b=[56.0, 54.0]\n"},
    };
    make_volumes(*state);
    CHECK(*state, examples);
}

static void test_open_name_alone_with_two_sizes(void **state) {
    scene *at = *state;
    make_volumes(at);
    outcome result = run_text(at,
                              VOX "print \"m\" [max(ReadImage(\"a.nii.gz\")), max(ReadImage(\"b.nii\"))]\n"
                                  "print \"b\" volume(border)\nprint \"after\" 1\n",
                              "");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "m=[334.0, 235.0]\nafter=1.0\n"); /* the others are met */
    assert_contains(result.err, "program.imgql:");
    assert_contains(result.err, "border");
    outcome none = run_text(at, "import \"vox1\"\nprint \"b\" volume(border)\n", "");
    assert_int_not_equal(none.status, 0);
    assert_contains(none.err, "border has no image");
}

/* ---- what is computed ---- */

static void test_index_computes_one_item(void **state) {
    scene *at = *state;
    outcome result = run_text(at, "xs = for i in range(50) do (i * 2) + 1\nprint \"x\" xs[7]\n", "");
    assert_prints(&result, "x=15.0\n");
    assert_int_equal(computed_by(&result), 3); /* range, * and + */

    make_volumes(at);
    outcome image =
        run_text(at,
                 "import \"simpleitk\"\na = ReadImage(\"a.nii.gz\")\nmasks = for t in [100, 200, 300] do geq_sv(t, a)\n"
                 "print \"v\" volume(masks[1])\n",
                 "");
    assert_prints(&image, "v=32.0\n");
    assert_int_equal(computed_by(&image), 3); /* ReadImage, one geq_sv, volume */

    outcome slice = run_text(at, "xs = for i in range(50) do i * 3\nprint \"x\" xs[4:6]\n", "");
    assert_prints(&slice, "x=[12.0, 15.0]\n");
    assert_int_equal(computed_by(&slice), 3); /* two products and their list; range is stored */
}

static void test_goals_share_nodes(void **state) {
    scene *at = *state;
    outcome result = run_text(at, "print \"a\" 2 * 3\nprint \"b\" 2 * 3\nprint \"a\" 2 * 3\n", "");
    assert_prints(&result, "a=6.0\nb=6.0\na=6.0\n");
    assert_int_equal(number_of(&result, "nodes"), 1);
    assert_int_equal(computed_by(&result), 1);
    assert_string_equal(string_of(at, &result, "goals.2.name"), "a");
    assert_string_equal(string_of(at, &result, "goals.2.status"), "ok");
    assert_string_equal(string_of(at, &result, "goals.2.operation"), "print");
    assert_null(string_of(at, &result, "goals.2.error"));
}

/* ---- save ---- */

static void test_save(void **state) {
    scene *at = *state;
    make_volumes(at);
    volume_make(at, "flat.nii.gz", 6, 5, 0, coordinate);
    outcome result = run_text(
        at,
        VOX
        "a = ReadImage(\"a.nii.gz\")\nsave \"out/v.json\" [1, 2.5, \"x\", true, []]\nsave \"out/v.txt\" [1, \"x\"]\n"
        "save \"out/s.txt\" \"plain\"\nsave \"out/mask.nii.gz\" intensity(a) >=. 300\n"
        "save \"out/a.nii\" a\nsave \"out/flat.png\" intensity(ReadImage(\"flat.nii.gz\")) >=. 20\n",
        "");
    assert_well(&result);
    assert_string_equal(result.out, "");
    const char *json = scene_read(at, "out/v.json", NULL);
    assert_non_null(json);
    static const char expected_json[] = "[\n  1.0,\n  2.5,\n  \"x\",\n  true,\n  []\n]";
    assert_int_equal(strncmp(json, expected_json, strlen(expected_json)), 0);
    assert_in_range(strlen(json), strlen(expected_json), strlen(expected_json) + 1);
    assert_string_equal(scene_read(at, "out/v.txt", NULL), "[1.0, 'x']");
    assert_string_equal(scene_read(at, "out/s.txt", NULL), "plain");

    volume mask = volume_read(at, "out/mask.nii.gz"), copy = volume_read(at, "out/a.nii");
    assert_int_equal(mask.datatype, NIFTI_U8);
    assert_int_equal(mask.nx * 10000 + mask.ny * 100 + mask.nz, 40404);
    assert_int_equal(copy.datatype, NIFTI_F32);
    for (int i = 0; i < 64; i++) {
        float expected = coordinate(i % 4, i / 4 % 4, i / 16);
        assert_true(((float *)copy.voxels)[i] == expected);
        assert_int_equal(((uint8_t *)mask.voxels)[i], expected >= 300);
    }
    size_t length = 0;
    const char *png = scene_read(at, "out/flat.png", &length);
    assert_non_null(png);
    assert_true(length > 33);
    static const uint8_t start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13,
                                    'I',  'H', 'D', 'R', 0,    0,    0,    6,    0, 0, 0, 5};
    assert_memory_equal(png, start, sizeof start); /* signature, then width 6 and height 5 */
    assert_true(number_of(&result, "goals.3.bytes") > 0);
}

static void test_save_of_what_cannot_be_saved(void **state) {
    scene *at = *state;
    make_volumes(at);
    outcome result = run_text(
        at,
        "import \"simpleitk\"\nsave \"v.pkl\" 1\nsave \"cube.png\" ReadImage(\"a.nii.gz\")\nsave \"cube.json\" "
        "ReadImage(\"a.nii.gz\")\nprint \"x\" 1\n",
        "");
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "x=1.0\n");
    assert_contains(result.err, "v.pkl");
    assert_contains(result.err, "cube.png");
    assert_contains(result.err, "cube.json");
    assert_false(scene_has(at, "v.pkl") || scene_has(at, "cube.png") || scene_has(at, "cube.json"));
}

/* ---- plans ---- */

static void test_exported_plan(void **state) {
    scene *at = *state;
    make_volumes(at);
    scene_write(at, "p.imgql",
                VOX
                "a = intensity(ReadImage(\"a.nii.gz\"))\nedge = border\nk = 10\nf(t) = volume(edge & (a >=. t)) + k\n"
                "print \"m\" map(f, [100, 200])\nprint \"n\" for i in range(3) do ! (i == 1) && true\n"
                "print \"d\" fold max (for c in [\"a.nii.gz\", \"b.nii\"] do volume(edge & (ReadImage(c) >=. 0)))\n"
                "print \"s\" [1e999, -0, 1e-7]\n");
    outcome planned = voxloom(at, "plan p.imgql --format json -o p.json");
    assert_well(&planned);
    outcome first = run(at, "p.imgql", "");
    assert_prints(&first, "m=[50.0, 38.0]\nn=[True, False, True]\nd=56.0\ns=[inf, -0.0, 1e-07]\n");
    outcome second = run(at, "p.json", "");
    assert_prints(&second, first.out);
    assert_int_equal(computed_by(&second), 0);
    assert_int_equal(number_of(&second, "nodes"), number_of(&first, "nodes"));
    scene_remove(at, "store");
    outcome alone = run(at, "p.json", ""); /* the plan is enough */
    assert_prints(&alone, first.out);
    assert_int_equal(computed_by(&alone), computed_by(&first));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scalars, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_strings_and_sequences, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_loops, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_names, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_images, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_load_notice, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_open_names, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_open_name_alone_with_two_sizes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_index_computes_one_item, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_goals_share_nodes, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_save, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_save_of_what_cannot_be_saved, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_exported_plan, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
