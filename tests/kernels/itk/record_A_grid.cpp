// record_A_grid.cpp - ITK's results of Cast and RescaleIntensity, of simpleitk's functions that change the grid or the
// components, and of Statistics: writes A_grid.txt to standard output.
#include <itkCastImageFilter.h>
#include <itkComposeImageFilter.h>
#include <itkConstantPadImageFilter.h>
#include <itkCropImageFilter.h>
#include <itkExtractImageFilter.h>
#include <itkFlipImageFilter.h>
#include <itkJoinSeriesImageFilter.h>
#include <itkMinimumMaximumImageFilter.h>
#include <itkPermuteAxesImageFilter.h>
#include <itkRescaleIntensityImageFilter.h>
#include <itkStatisticsImageFilter.h>
#include <itkVectorIndexSelectionCastImageFilter.h>

#include "record.hpp"

using record::call;
using record::image;
using record::name;
using record::refused;
using record::run;

template <typename T, unsigned D> using Image = itk::Image<T, D>;
template <typename T, unsigned D> using Vector = itk::VectorImage<T, D>;

// "[1, 0, 2]"
template <typename List> std::string list(const List &items, unsigned count) {
    std::string text = "[";
    for (unsigned k = 0; k < count; k++)
        text += (k == 0 ? "" : ", ") + record::text(double(items[k]));
    return text + "]";
}

// ---- pixel types ----

static const char *const pixel_ids[] = {"sitkInt8",   "sitkUInt8", "sitkInt16",  "sitkUInt16",  "sitkInt32",
                                        "sitkUInt32", "sitkInt64", "sitkUInt64", "sitkFloat32", "sitkFloat64"};

template <typename From, typename To> void cast(char pattern) {
    int id = sizeof(To) == 1 ? 0 : sizeof(To) == 2 ? 2 : sizeof(To) == 4 ? 4 : 6;
    id = std::is_floating_point<To>::value ? (sizeof(To) == 4 ? 8 : 9) : id + !std::is_signed<To>::value;
    const std::string in = name<From>("2d", pattern),
                      type = std::string("GetPixelIDValueFromString(\"") + pixel_ids[id] + "\")";
    auto filter = itk::CastImageFilter<Image<From, 2>, Image<To, 2>>::New();
    filter->SetInput(image<From, 2>(in));
    filter->InPlaceOff();
    run(call("Cast", in, type), filter.GetPointer());
}

template <typename From> void casts() {
    record::for_each_type([](auto to) {
        using To = decltype(to);
        // Reals beyond a whole type are not defined by C++; what is recorded fits 8 bits unsigned, or 16 with a sign.
        if (!std::is_floating_point<From>::value || std::is_floating_point<To>::value)
            cast<From, To>('a');
        else
            cast<From, To>(std::is_signed<To>::value && sizeof(To) > 1 ? 'a' : 's');
    });
}

static void casts_of_vectors() {
    auto filter = itk::CastImageFilter<Vector<float, 3>, Vector<int16_t, 3>>::New();
    filter->SetInput(record::vector<float, 3>("f32x2_3d_a"));
    run("Cast(f32x2_3d_a, GetPixelIDValueFromString(\"sitkVectorInt16\"))", filter.GetPointer());
    refused("Cast(f32x2_3d_a, GetPixelIDValueFromString(\"sitkInt16\"))");
    refused("Cast(f32_3d_a, GetPixelIDValueFromString(\"sitkComplexFloat32\"))");
    refused("Cast(u8_3d_a, GetPixelIDValueFromString(\"sitkLabelUInt8\"))");
    refused("Cast(u8_3d_a, 26)");
    refused("Cast(u8_3d_a, -1)");
}

template <typename T> void rescale(const std::string &in, double low, double high) {
    auto filter = itk::RescaleIntensityImageFilter<Image<T, 3>, Image<T, 3>>::New();
    filter->SetInput(image<T, 3>(in));
    filter->SetOutputMinimum(static_cast<T>(low));
    filter->SetOutputMaximum(static_cast<T>(high));
    run(call("RescaleIntensity", in, low, high), filter.GetPointer());
}

template <typename T> void components() {
    const std::string v = name<T>("3d", 'p', 3);
    auto compose = itk::ComposeImageFilter<Image<T, 3>>::New();
    for (unsigned c = 0; c < 3; c++) {
        auto pick = itk::VectorIndexSelectionCastImageFilter<Vector<T, 3>, Image<T, 3>>::New();
        pick->SetInput(record::vector<T, 3>(v));
        pick->SetIndex(c);
        if (c == 2) run(call("VectorIndexSelectionCast", v, 2), pick.GetPointer());
        auto scale = itk::RescaleIntensityImageFilter<Image<T, 3>, Image<T, 3>>::New();
        scale->SetInput(pick->GetOutput());
        scale->SetOutputMinimum(1);
        scale->SetOutputMaximum(100);
        scale->Update();
        compose->SetInput(c, scale->GetOutput());
    }
    run(call("RescaleIntensity", v, 1, 100), compose.GetPointer()); // SimpleITK: component by component
    auto both = itk::ComposeImageFilter<Image<T, 3>>::New();
    const std::string a = name<T>("3d", 'a'), b = name<T>("3d", 'b');
    both->SetInput(0, image<T, 3>(a));
    both->SetInput(1, image<T, 3>(b));
    run(call("Compose", a, b), both.GetPointer());
}

static void components_refused() {
    auto pick = itk::VectorIndexSelectionCastImageFilter<Vector<float, 2>, Image<uint16_t, 2>>::New();
    pick->SetInput(record::vector<float, 2>("f32x4_2d_p"));
    pick->SetIndex(1);
    run("VectorIndexSelectionCast(f32x4_2d_p, 1, GetPixelIDValueFromString(\"sitkUInt16\"))", pick.GetPointer());
    pick->SetIndex(4);
    run("VectorIndexSelectionCast(f32x4_2d_p, 4, GetPixelIDValueFromString(\"sitkUInt16\"))", pick.GetPointer());
    auto one = itk::ComposeImageFilter<Image<float, 3>>::New();
    one->SetInput(0, image<float, 3>("f32_3d_a"));
    one->SetInput(1, image<float, 3>("f32_flat_a"));
    run("Compose(f32_3d_a, f32_flat_a)", one.GetPointer());
    refused("VectorIndexSelectionCast(u8_3d_a, 0)");
    refused("Compose(f32_3d_a, f64_3d_a)");
    refused("Compose(u8x2_2d_a, u8x2_2d_a)");
}

// ---- numbers ----

template <typename T> void statistics(const std::string &in) {
    auto filter = itk::StatisticsImageFilter<Image<T, 3>>::New();
    filter->SetInput(image<T, 3>(in));
    filter->Update();
    const double count = double(filter->GetInput()->GetLargestPossibleRegion().GetNumberOfPixels());
    record::numbers(call("Statistics", in),
                    {double(filter->GetMinimum()), double(filter->GetMaximum()), filter->GetMean(), filter->GetSigma(),
                     filter->GetVariance(), filter->GetSum(), count},
                    1e-12);
    auto extremes = itk::MinimumMaximumImageFilter<Image<T, 3>>::New();
    extremes->SetInput(image<T, 3>(in));
    extremes->Update();
    record::numbers(call("MinimumMaximum", in), {double(extremes->GetMinimum()), double(extremes->GetMaximum())});
}

// ---- grids ----

template <typename In, unsigned To>
void extract(In source, const std::string &in, std::vector<int> size, std::vector<int> index, int strategy = -1) {
    using From = typename std::remove_reference<decltype(*source)>::type;
    using Out = typename From::template Rebind<typename From::PixelType, To>::Type;
    auto filter = itk::ExtractImageFilter<From, Out>::New();
    typename From::RegionType region;
    for (unsigned d = 0; d < From::ImageDimension; d++) {
        region.SetSize(d, size[d]);
        region.SetIndex(d, index[d]);
    }
    filter->SetInput(source);
    filter->SetExtractionRegion(region);
    filter->SetDirectionCollapseToStrategy(typename itk::ExtractImageFilter<From, Out>::DirectionCollapseStrategyEnum(
        strategy < 0 ? 3 : strategy)); // SimpleITK's default: a guess
    const std::string sizes = list(size, unsigned(size.size())), indexes = list(index, unsigned(index.size()));
    run(strategy < 0 ? call("Extract", in, sizes, indexes) : call("Extract", in, sizes, indexes, strategy),
        filter.GetPointer());
}

template <typename Image> void crop(Image *source, const std::string &in, std::vector<int> low, std::vector<int> high) {
    auto filter = itk::CropImageFilter<Image, Image>::New();
    typename Image::SizeType lower, upper;
    for (unsigned d = 0; d < Image::ImageDimension; d++) {
        lower[d] = low[d];
        upper[d] = high[d];
    }
    filter->SetInput(source);
    filter->SetLowerBoundaryCropSize(lower);
    filter->SetUpperBoundaryCropSize(upper);
    run(call("Crop", in, list(low, low.size()), list(high, high.size())), filter.GetPointer());
}

template <typename Image>
void pad(Image *source, const std::string &in, std::vector<int> low, std::vector<int> high, double constant) {
    auto filter = itk::ConstantPadImageFilter<Image, Image>::New();
    typename Image::SizeType lower, upper;
    for (unsigned d = 0; d < Image::ImageDimension; d++) {
        lower[d] = low[d];
        upper[d] = high[d];
    }
    filter->SetInput(source);
    filter->SetPadLowerBound(lower);
    filter->SetPadUpperBound(upper);
    filter->SetConstant(static_cast<typename Image::PixelType>(constant));
    run(call("ConstantPad", in, list(low, low.size()), list(high, high.size()), constant), filter.GetPointer());
}

template <typename Image> void flip(Image *source, const std::string &in, std::vector<int> axes, bool about_origin) {
    auto filter = itk::FlipImageFilter<Image>::New();
    typename itk::FlipImageFilter<Image>::FlipAxesArrayType flags;
    std::string text = "[";
    for (unsigned d = 0; d < Image::ImageDimension; d++) {
        flags[d] = axes[d] != 0;
        text += std::string(d == 0 ? "" : ", ") + (axes[d] != 0 ? "true" : "false");
    }
    filter->SetInput(source);
    filter->SetFlipAxes(flags);
    filter->SetFlipAboutOrigin(about_origin);
    run(call("Flip", in, text + "]", about_origin ? "true" : "false"), filter.GetPointer());
}

template <typename Image> void permute(Image *source, const std::string &in, std::vector<int> order) {
    auto filter = itk::PermuteAxesImageFilter<Image>::New();
    typename itk::PermuteAxesImageFilter<Image>::PermuteOrderArrayType axes;
    for (unsigned d = 0; d < Image::ImageDimension; d++)
        axes[d] = order[d];
    filter->SetInput(source);
    filter->SetOrder(axes);
    run(call("PermuteAxes", in, list(order, order.size())), filter.GetPointer());
}

template <typename Image, typename Source>
void join(Source &&source, std::vector<std::string> names, double origin, double spacing) {
    using Out = typename Image::template Rebind<typename Image::PixelType, Image::ImageDimension + 1>::Type;
    auto filter = itk::JoinSeriesImageFilter<Image, Out>::New();
    std::string text = "[";
    for (unsigned k = 0; k < names.size(); k++) {
        filter->SetInput(k, source(names[k]));
        text += (k == 0 ? "" : ", ") + names[k];
    }
    filter->SetOrigin(origin);
    filter->SetSpacing(spacing);
    run(call("JoinSeries", text + "]", origin, spacing), filter.GetPointer());
}

template <typename T> void grids() {
    const std::string a = name<T>("3d", 'a'), two = name<T>("2d", 'a'), four = name<T>("4d", 'a');
    const auto image3 = image<T, 3>(a);
    const auto image2 = image<T, 2>(two);
    const auto image4 = image<T, 4>(four);
    extract<decltype(image3), 3>(image3, a, {3, 4, 2}, {2, 1, 1});
    extract<decltype(image4), 3>(image4, four, {5, 2, 0, 1}, {0, 1, 2, 1});
    crop(image3.GetPointer(), a, {1, 2, 0}, {2, 0, 1});
    pad(image3.GetPointer(), a, {1, 0, 2}, {0, 3, 1}, 7.6);
    pad(image2.GetPointer(), two, {2, 1}, {1, 2}, 0);
    flip(image3.GetPointer(), a, {1, 0, 1}, false);
    permute(image3.GetPointer(), a, {2, 0, 1});
    permute(image4.GetPointer(), four, {3, 1, 0, 2});
    join<Image<T, 2>>([](const std::string &in) { return image<T, 2>(in); }, {two, name<T>("2d", 's')}, 5.5, 2.25);
}

// What does not depend on the pixel type, with one.
static void grids_once() {
    using F = Image<float, 3>;
    const auto f = image<float, 3>("f32_3d_a");
    extract<decltype(f), 2>(f, "f32_3d_a", {7, 0, 3}, {0, 2, 0});
    extract<decltype(f), 2>(f, "f32_3d_a", {0, 3, 2}, {6, 1, 1});
    extract<decltype(f), 2>(f, "f32_3d_a", {5, 4, 0}, {1, 1, 2});
    for (int strategy : {1, 2, 3})
        extract<decltype(f), 2>(f, "f32_3d_a", {5, 4, 0}, {1, 1, 2}, strategy);
    extract<decltype(f), 3>(f, "f32_3d_a", {5, 4, 4}, {1, 1, 0});
    extract<decltype(f), 3>(f, "f32_3d_a", {5, 4, 1}, {1, 1, -1});
    refused("Extract(f32_3d_a, [5, 4, 0], [1, 1, 2], 0)");
    refused("Extract(f32_3d_a, [5, 0, 0], [0, 0, 0])");
    refused("Extract(f32_2d_a, [5], [0])");
    const auto vector = record::vector<int16_t, 3>("i16x3_3d_a");
    extract<decltype(vector), 2>(vector, "i16x3_3d_a", {4, 0, 2}, {2, 3, 1});
    flip(f.GetPointer(), "f32_3d_a", {0, 1, 1}, true);
    flip(f.GetPointer(), "f32_3d_a", {0, 0, 0}, true);
    flip(vector.GetPointer(), "i16x3_3d_a", {1, 1, 0}, false);
    const auto four = image<uint8_t, 4>("u8_4d_a");
    flip(four.GetPointer(), "u8_4d_a", {0, 1, 0, 1}, false);
    crop(four.GetPointer(), "u8_4d_a", {1, 0, 1, 0}, {0, 1, 1, 1});
    crop(vector.GetPointer(), "i16x3_3d_a", {1, 1, 1}, {0, 0, 0});
    pad(four.GetPointer(), "u8_4d_a", {1, 0, 1, 0}, {0, 1, 1, 2}, 200);
    pad(f.GetPointer(), "f32_3d_a", {0, 0, 0}, {0, 0, 0}, 1);
    permute(vector.GetPointer(), "i16x3_3d_a", {1, 2, 0});
    refused("PermuteAxes(f32_3d_a, [0, 0, 1])"); // thrown by the setter
    refused("PermuteAxes(f32_3d_a, [0, 1, 3])");
    refused("ConstantPad(u8x2_2d_a, [1, 1], [1, 1], 0)"); // not made for vectors
    refused("Crop(f32_3d_a, [4, 0, 0], [4, 0, 0])");
    refused("Crop(f32_3d_a, [-1, 0, 0], [0, 0, 0])");
    refused("PermuteAxes(f32_3d_a, [0, 1])");
    refused("Flip(f32_3d_a, [true])");
    join<Vector<uint8_t, 2>>([](const std::string &in) { return record::vector<uint8_t, 2>(in); },
                             {"u8x3_2d_a", "u8x3_2d_b", "u8x3_2d_p"}, 0, 1);
    join<Image<float, 3>>([](const std::string &in) { return image<float, 3>(in); }, {"f32_3d_a", "f32_3d_b"}, -3, 0.5);
    join<Image<float, 3>>([](const std::string &in) { return image<float, 3>(in); }, {"f32_3d_a", "f32_flat_a"}, 0, 1);
    refused("JoinSeries([u8_2d_a, i8_2d_a], 0, 1)");
    refused("JoinSeries([u8_4d_a, u8_4d_a], 0, 1)");
    refused("JoinSeries([], 0, 1)");
}

int main() {
    std::printf("# Written by itk_record_A_grid with ITK %s; see record.hpp. Not edited by hand.\n",
                itk::Version::GetITKVersion());
    record::for_each_type([](auto type) {
        using T = decltype(type);
        casts<T>();
        rescale<T>(name<T>("3d", 'a'), 10, 90.5);
        rescale<T>(name<T>("vol", 'w'), 0, 100);
        rescale<T>(name<T>("3d", 's'), 90, 10);
        statistics<T>(name<T>("3d", 'a'));
        statistics<T>(name<T>("vol", 'w'));
        grids<T>();
    });
    components<uint8_t>();
    components<int16_t>();
    components<float>();
    components_refused();
    casts_of_vectors();
    refused("MinimumMaximum(u8x2_2d_a)");
    refused("Statistics(u8x2_2d_a)");
    grids_once();
}
