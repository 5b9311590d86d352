// record_C.cpp - ITK's results of the filters of sets and labels: writes C.txt to standard output.
#include <itkBinaryDilateImageFilter.h>
#include <itkBinaryErodeImageFilter.h>
#include <itkConnectedComponentImageFilter.h>
#include <itkFlatStructuringElement.h>
#include <itkOtsuThresholdImageFilter.h>
#include <itkRelabelComponentImageFilter.h>
#include <itkSignedMaurerDistanceMapImageFilter.h>

#include "record.hpp"

using record::call;
using record::image;
using record::name;
using record::run;

using numbers = std::vector<double>;

static const char *text_of(bool value) {
    return value ? "true" : "false";
}

// [1, 2, 3]
static std::string list(const numbers &values) {
    std::string text = "[";
    for (size_t k = 0; k < values.size(); k++)
        text += (k == 0 ? "" : ", ") + record::text(values[k]);
    return text + "]";
}

// ---- sets ----

template <template <typename, typename, typename> class Filter, typename T, unsigned D>
static void morphology(const char *function, const std::string &in, const numbers &radius, int kind, T background,
                       T foreground, bool edge) {
    using Image = itk::Image<T, D>;
    using Element = itk::FlatStructuringElement<D>;
    typename Element::RadiusType size;
    for (unsigned d = 0; d < D; d++)
        size[d] = static_cast<itk::SizeValueType>(radius[d]);
    auto filter = Filter<Image, Image, Element>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetKernel(kind == 1 ? Element::Ball(size) : kind == 2 ? Element::Box(size) : Element::Cross(size));
    filter->SetBackgroundValue(background);
    filter->SetForegroundValue(foreground);
    filter->SetBoundaryToForeground(edge);
    run(call(function, in, list(radius), double(kind), double(background), double(foreground), text_of(edge)),
        filter.GetPointer());
}

template <typename T, unsigned D>
static void morphologies(const std::string &in, const numbers &radius, T background, T foreground) {
    for (int kind = 1; kind <= 3; kind++)
        for (bool edge : {false, true}) {
            morphology<itk::BinaryDilateImageFilter, T, D>("BinaryDilate", in, radius, kind, background, foreground,
                                                           edge);
            morphology<itk::BinaryErodeImageFilter, T, D>("BinaryErode", in, radius, kind, background, foreground,
                                                          edge);
        }
}

template <typename T, unsigned D> static void components(const std::string &in, bool fully, const std::string &mask) {
    using Filter =
        itk::ConnectedComponentImageFilter<itk::Image<T, D>, itk::Image<uint32_t, D>, itk::Image<uint8_t, D>>;
    auto filter = Filter::New();
    filter->SetInput(image<T, D>(in));
    filter->SetFullyConnected(fully);
    if (mask.empty()) {
        run(call("ConnectedComponent", in, text_of(fully)), filter.GetPointer());
        return;
    }
    filter->SetMaskImage(image<uint8_t, D>(mask));
    run(call("ConnectedComponent", in, mask, text_of(fully)), filter.GetPointer());
}

template <typename T, unsigned D> static void relabel(const std::string &in, unsigned least, bool sorted) {
    using Image = itk::Image<T, D>;
    auto filter = itk::RelabelComponentImageFilter<Image, Image>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetMinimumObjectSize(least);
    filter->SetSortByObjectSize(sorted);
    run(call("RelabelComponent", in, double(least), text_of(sorted)), filter.GetPointer());
}

template <typename T, unsigned D>
static void distance(const std::string &in, bool inside, bool squared, bool spacing, T background) {
    using Filter = itk::SignedMaurerDistanceMapImageFilter<itk::Image<T, D>, itk::Image<float, D>>;
    auto filter = Filter::New();
    filter->SetInput(image<T, D>(in));
    filter->SetInsideIsPositive(inside);
    filter->SetSquaredDistance(squared);
    filter->SetUseImageSpacing(spacing);
    filter->SetBackgroundValue(background);
    run(call("SignedMaurerDistanceMap", in, text_of(inside), text_of(squared), text_of(spacing), double(background)),
        filter.GetPointer());
}

template <typename T, unsigned D>
static void otsu(const std::string &in, const std::string &mask, int inside, int outside, unsigned bins, bool hide,
                 int mask_value, bool middle) {
    using Bytes = itk::Image<uint8_t, D>;
    auto filter = itk::OtsuThresholdImageFilter<itk::Image<T, D>, Bytes, Bytes>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetInsideValue(static_cast<uint8_t>(inside));
    filter->SetOutsideValue(static_cast<uint8_t>(outside));
    filter->SetNumberOfHistogramBins(bins);
    filter->SetMaskOutput(hide);
    filter->SetMaskValue(static_cast<uint8_t>(mask_value));
    filter->SetReturnBinMidpoint(middle);
    if (!mask.empty()) filter->SetMaskImage(image<uint8_t, D>(mask));
    run(call("OtsuThreshold", mask.empty() ? in : in + ", " + mask, double(inside), double(outside), double(bins),
             text_of(hide), double(mask_value), text_of(middle)),
        filter.GetPointer());
}

int main() {
    std::printf("# Written by itk_record_C with ITK %s; see record.hpp. Not edited by hand.\n",
                itk::Version::GetITKVersion());
    morphologies<uint8_t, 3>("u8_vol_m", {1, 1, 1}, 0, 1);
    morphologies<uint8_t, 3>("u8_vol_s", {2, 3, 1}, 3, 2);
    morphologies<uint8_t, 3>("u8_vol_s", {5, 0, 4}, 0, 4);
    morphologies<int16_t, 3>("i16_flat_s", {4, 2, 1}, 0, -2);
    morphologies<uint16_t, 2>("u16_2d_s", {3, 2}, 1, 4);
    morphologies<uint8_t, 4>("u8_4d_m", {1, 1, 2, 1}, 0, 1);
    morphologies<uint64_t, 2>("u64_2d_m", {0, 1}, 7, 1);
    for (bool fully : {false, true}) {
        components<uint8_t, 3>("u8_vol_m", fully, "");
        components<uint8_t, 3>("u8_vol_s", fully, "u8_vol_m");
        components<uint16_t, 3>("u16_vol_m", fully, "u8_vol_s");
        components<int16_t, 2>("i16_2d_m", fully, "");
        components<int32_t, 4>("i32_4d_m", fully, "");
        components<uint64_t, 2>("u64_2d_a", fully, "");
        components<uint8_t, 3>("u8_flat_m", fully, "");
    }
    for (bool sorted : {true, false})
        for (unsigned least : {0u, 150u}) {
            relabel<uint8_t, 3>("u8_vol_s", least, sorted);
            relabel<int16_t, 3>("i16_vol_s", least, sorted);
            relabel<uint32_t, 3>("u32_vol_p", least / 3, sorted);
            relabel<int64_t, 2>("i64_2d_s", least / 30, sorted);
            relabel<uint64_t, 2>("u64_2d_a", least, sorted);
        }
    relabel<int8_t, 2>("i8_2d_a", 0, true);
    for (int flags = 0; flags < 8; flags++) {
        const bool inside = flags & 1, squared = flags & 2, spacing = flags & 4;
        distance<uint8_t, 3>("u8_vol_m", inside, squared, spacing, 0);
        distance<int16_t, 3>("i16_vol_s", inside, squared, spacing, -2);
        distance<uint8_t, 2>("u8_2d_m", inside, squared, spacing, 1);
        distance<uint16_t, 4>("u16_4d_s", inside, squared, spacing, 2);
        distance<uint8_t, 3>("u8_flat_m", inside, squared, spacing, 0);
        distance<uint8_t, 2>("u8_2d_m", inside, squared, spacing, 9);
    }
    record::for_each_type([](auto type) {
        using T = decltype(type);
        otsu<T, 3>(name<T>("vol", 'w'), "", 1, 0, 128, true, 255, false);
        otsu<T, 3>(name<T>("vol", 'w'), "u8_vol_s", 5, 9, 64, false, 3, true);
        otsu<T, 2>(name<T>("2d", 'p'), "u8_2d_m", 0, 1, 7, true, 1, false);
        otsu<T, 2>(name<T>("2d", 's'), "u8_2d_s", 1, 0, 128, true, 2, false);
    });
    otsu<float, 3>("f32_vol_a", "", 1, 0, 128, true, 255, false);
    otsu<uint8_t, 3>("u8_vol_w", "u8_vol_s", 1, 0, 200, true, 2, true);
    otsu<int16_t, 3>("i16_vol_w", "u8_vol_m", 0, 1, 32, false, 1, true);
    otsu<double, 2>("f64_2d_w", "", 1, 0, 16, true, 255, true);
    otsu<uint16_t, 4>("u16_4d_p", "", 1, 0, 128, true, 255, false);
}
