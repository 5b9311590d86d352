/* itk.cpp - the programs of bench_programs as chains of ITK filters: what a user of ITK would run in their place, and
 * the stand-in for VoxLogicA-2's engine, which calls the same filters through SimpleITK.
 *
 *      bench_programs_itk tumour|tumour-short|sweep|heads THREADS
 *
 * In the folder: flair.nii.gz, for `heads` cases/case_0[0-3].nii.gz. Prints what the program prints, in voxloom's form;
 * the tumour goes to tumour_itk.nii.gz. `tumour` has a filter for each primitive of the program, as the engine runs
 * them; `tumour-short` leaves out those that a person who writes filters need not have: thresholds take the signed
 * distance as it is. Images are freed as soon as nobody needs them. Ranks have no filter: a sort in THREADS threads
 * (kernels/sort.cpp). */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <itkAndImageFilter.h>
#include <itkBinaryDilateImageFilter.h>
#include <itkBinaryReconstructionByDilationImageFilter.h>
#include <itkBinaryThresholdImageFilter.h>
#include <itkFlatStructuringElement.h>
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>
#include <itkMaskImageFilter.h>
#include <itkMultiThreaderBase.h>
#include <itkNiftiImageIO.h>
#include <itkNotImageFilter.h>
#include <itkOrImageFilter.h>
#include <itkSignedMaurerDistanceMapImageFilter.h>

#include "perf/kernels/itk_common.h"

using Set = Mask::Pointer;
using Field = Scalars::Pointer;

/* The result of a filter, which is let go with what it holds. */
template <class Filter> static auto result(const itk::SmartPointer<Filter> &filter) {
    filter->Update();
    typename Filter::OutputImageType::Pointer image = filter->GetOutput();
    image->DisconnectPipeline();
    return image;
}

/* ---- primitives ---- */

static Field read(const std::string &path) {
    auto reader = itk::ImageFileReader<Scalars>::New();
    reader->SetFileName(path);
    reader->SetImageIO(itk::NiftiImageIO::New());
    return result(reader);
}

static void write(const Set &set, const char *path) {
    auto writer = itk::ImageFileWriter<Mask>::New();
    writer->SetFileName(path);
    writer->SetImageIO(itk::NiftiImageIO::New());
    writer->SetInput(set);
    writer->UseCompressionOn();
    writer->Update();
}

static Set between(const Field &field, float low, float high) {
    auto filter = itk::BinaryThresholdImageFilter<Scalars, Mask>::New();
    filter->SetInput(field);
    filter->SetLowerThreshold(low);
    filter->SetUpperThreshold(high);
    filter->SetInsideValue(1);
    filter->SetOutsideValue(0);
    return result(filter);
}

static Set at_least(const Field &field, double number) {
    return between(field, float(number), itk::NumericTraits<float>::max());
}

static Set at_most(const Field &field, double number) {
    return between(field, itk::NumericTraits<float>::NonpositiveMin(), float(number));
}

static Set complement(const Set &set) {
    auto filter = itk::NotImageFilter<Mask, Mask>::New();
    filter->SetInput(set);
    return result(filter);
}

template <class Filter> static Set join(const Set &a, const Set &b) {
    auto filter = Filter::New();
    filter->SetInput1(a);
    filter->SetInput2(b);
    return result(filter);
}

static Set both(const Set &a, const Set &b) {
    return join<itk::AndImageFilter<Mask, Mask, Mask>>(a, b);
}

static Set either(const Set &a, const Set &b) {
    return join<itk::OrImageFilter<Mask, Mask, Mask>>(a, b);
}

static Field masked(const Field &field, const Set &set) {
    auto filter = itk::MaskImageFilter<Scalars, Mask, Scalars>::New();
    filter->SetInput(field);
    filter->SetMaskImage(set);
    return result(filter);
}

static Field distance(const Set &set) {
    auto filter = itk::SignedMaurerDistanceMapImageFilter<Mask, Scalars>::New();
    filter->SetInput(set);
    filter->SetSquaredDistance(false);
    filter->SetUseImageSpacing(true);
    filter->SetInsideIsPositive(false);
    return result(filter);
}

static Set near(const Set &set) {
    using Box = itk::FlatStructuringElement<3>;
    auto filter = itk::BinaryDilateImageFilter<Mask, Mask, Box>::New();
    Box::RadiusType radius;
    radius.Fill(1);
    filter->SetInput(set);
    filter->SetKernel(Box::Box(radius));
    filter->SetForegroundValue(1);
    filter->SetBackgroundValue(0);
    return result(filter);
}

/* The components of `set` that hold a voxel of `seeds`. */
static Set through(const Set &seeds, const Set &set) {
    auto filter = itk::BinaryReconstructionByDilationImageFilter<Mask>::New();
    filter->SetMarkerImage(seeds);
    filter->SetMaskImage(set);
    filter->SetForegroundValue(1);
    filter->SetBackgroundValue(0);
    filter->SetFullyConnected(true);
    return result(filter);
}

template <class Image> static typename Image::Pointer like(const Field &field) {
    auto image = Image::New();
    image->CopyInformation(field);
    image->SetRegions(field->GetLargestPossibleRegion());
    image->Allocate();
    return image;
}

/* The voxels at the edge of the volume. */
static Set border(const Field &field) {
    auto set = like<Mask>(field);
    auto size = field->GetLargestPossibleRegion().GetSize();
    unsigned char *voxel = set->GetBufferPointer();
    for (size_t z = 0; z < size[2]; z++)
        for (size_t y = 0; y < size[1]; y++)
            for (size_t x = 0; x < size[0]; x++)
                *voxel++ =
                    x == 0 || x + 1 == size[0] || y == 0 || y + 1 == size[1] || z == 0 || z + 1 == size[2] ? 1 : 0;
    return set;
}

static Field percentiles(const Field &field, const Set &inside) {
    auto ranks = like<Scalars>(field);
    itk_images raw = {};
    for (unsigned d = 0; d < 3; d++)
        raw.size[d] = field->GetLargestPossibleRegion().GetSize()[d];
    raw.scalars = field->GetBufferPointer();
    raw.mask = inside->GetBufferPointer();
    sort_percentiles(&raw, ranks->GetBufferPointer());
    return ranks;
}

/* Sums are plain loops, as numpy's: StatisticsImageFilter computes other figures too, and takes several times as long
 * as the threshold before it. */
static double volume(const Set &set) {
    const unsigned char *voxels = set->GetBufferPointer();
    uint64_t sum = 0;
    for (size_t v = 0, total = set->GetLargestPossibleRegion().GetNumberOfPixels(); v < total; v++)
        sum += voxels[v];
    return double(sum);
}

static double average(const Field &field, const Set &set) {
    const float *values = field->GetBufferPointer();
    const unsigned char *inside = set->GetBufferPointer();
    double sum = 0;
    for (size_t v = 0, total = set->GetLargestPossibleRegion().GetNumberOfPixels(); v < total; v++)
        if (inside[v]) sum += double(values[v]);
    return sum / volume(set);
}

/* ---- derived operators, as planner/imgql/stdlib.imgql defines them ---- */

static bool is_short;

static Set touch(const Set &a, const Set &b) {
    return through(near(b), a);
}

static Field positive_distance(const Set &set) {
    Field signed_distance = distance(set);
    Set positive = both(at_least(signed_distance, 0), complement(between(signed_distance, 0, 0)));
    return masked(signed_distance, positive);
}

static Set smoothen(const Set &set, double radius) {
    auto measure = is_short ? distance : positive_distance;
    return at_most(measure(at_least(measure(complement(set)), radius)), radius);
}

/* ---- programs ---- */

static Set brain_of(const Field &flair) {
    return complement(touch(at_most(flair, 0.1), border(flair)));
}

static void run_tumour() {
    Field flair = read("flair.nii.gz");
    Set brain = brain_of(flair);
    Field rank = percentiles(flair, brain);
    Set hyper = smoothen(at_least(rank, 0.86), 2.5), very = smoothen(at_least(rank, 0.75), 2.0);
    rank = nullptr;
    Set tumour = either(hyper, touch(very, hyper));
    double voxels = volume(tumour);
    std::printf("tumour_voxels=%.17g\nshare_of_brain=%.17g\nmean_intensity=%.17g\n", voxels, voxels / volume(brain),
                average(flair, tumour));
    write(tumour, "tumour_itk.nii.gz");
}

static void print_list(const char *name, const std::vector<double> &numbers) {
    if (name != nullptr) std::printf("%s=", name);
    for (size_t k = 0; k < numbers.size(); k++)
        std::printf("%s%.17g", k == 0 ? "[" : ", ", numbers[k]);
    std::printf("]");
}

static void run_sweep() {
    Field flair = read("flair.nii.gz");
    Field rank = percentiles(flair, brain_of(flair));
    std::vector<double> thresholds, volumes;
    double largest = 0;
    for (int t = 0; t < 20; t++) {
        thresholds.push_back(t / 20.0);
        volumes.push_back(volume(at_least(rank, thresholds.back())));
        if (volumes.back() > largest) largest = volumes.back();
    }
    print_list("thresholds", thresholds);
    print_list("\nvolumes", volumes);
    std::printf("\nlargest=%.17g\n", largest);
}

/* heads.imgql, which bench_programs writes. */
static void run_heads() {
    std::printf("volumes=[");
    for (int head = 0; head < 4; head++) {
        Field image = read("cases/case_0" + std::to_string(head) + ".nii.gz");
        std::vector<double> volumes;
        for (int t = 0; t < 50; t++)
            volumes.push_back(volume(at_least(image, t * 20)));
        if (head > 0) std::printf(", ");
        print_list(nullptr, volumes);
    }
    std::printf("]\n");
}

int main(int count, char **arguments) {
    long threads = count == 3 ? std::strtol(arguments[2], nullptr, 10) : 0;
    if (threads < 1 || threads > 64) {
        std::fputs("usage: bench_programs_itk tumour|tumour-short|sweep|heads THREADS\n", stderr);
        return 2;
    }
    itk::MultiThreaderBase::SetGlobalMaximumNumberOfThreads(unsigned(threads));
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(unsigned(threads));
    sort_use_threads(unsigned(threads));
    const std::string program = arguments[1];
    is_short = program == "tumour-short";
    try {
        if (program == "sweep")
            run_sweep();
        else if (program == "heads")
            run_heads();
        else
            run_tumour();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "bench_programs_itk: %s\n", error.what());
        return 1;
    }
    return 0;
}
