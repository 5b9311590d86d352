// record_B.cpp - ITK's results of the filters that smooth, and of derivatives: writes B.txt to standard output.
#include <itkCurvatureFlowImageFilter.h>
#include <itkDiscreteGaussianImageFilter.h>
#include <itkGradientMagnitudeImageFilter.h>
#include <itkMeanImageFilter.h>
#include <itkMedianImageFilter.h>
#include <itkSmoothingRecursiveGaussianImageFilter.h>

#include "record.hpp"

using record::call;
using record::image;
using record::name;
using record::run;

using numbers = std::vector<double>;

// [1, 2, 3]
static std::string list(const numbers &values) {
    std::string text = "[";
    for (size_t k = 0; k < values.size(); k++)
        text += (k == 0 ? "" : ", ") + record::text(values[k]);
    return text + "]";
}

template <typename Array> static Array array_of(const numbers &values) {
    Array array;
    for (unsigned d = 0; d < Array::Dimension; d++)
        array[d] = static_cast<typename Array::ValueType>(values[d]);
    return array;
}

template <typename Size, unsigned D> static Size size_of(const numbers &values) {
    Size size;
    for (unsigned d = 0; d < D; d++)
        size[d] = static_cast<itk::SizeValueType>(values[d]);
    return size;
}

template <typename T, unsigned D> static void recursive_gaussian(const std::string &in, const numbers &sigma) {
    using Filter = itk::SmoothingRecursiveGaussianImageFilter<itk::Image<T, D>, itk::Image<float, D>>;
    auto filter = Filter::New();
    filter->SetInput(image<T, D>(in));
    filter->SetSigmaArray(array_of<typename Filter::SigmaArrayType>(sigma));
    run(call("SmoothingRecursiveGaussian", in, list(sigma)), filter.GetPointer());
}

// Tolerance 0 for whole numbers; reals are rounded from the same sums of doubles in the same order.
template <typename T, unsigned D>
static void discrete_gaussian(const std::string &in, const numbers &variance, unsigned width, double error,
                              bool by_spacing) {
    using Filter = itk::DiscreteGaussianImageFilter<itk::Image<T, D>, itk::Image<T, D>>;
    auto filter = Filter::New();
    filter->SetInput(image<T, D>(in));
    filter->SetVariance(array_of<typename Filter::ArrayType>(variance));
    filter->SetMaximumKernelWidth(width);
    filter->SetMaximumError(error);
    filter->SetUseImageSpacing(by_spacing);
    run(call("DiscreteGaussian", in, list(variance), double(width), error, by_spacing ? "true" : "false"),
        filter.GetPointer());
}

template <typename T, unsigned D> static void median(const std::string &in, const numbers &radius) {
    using Image = itk::Image<T, D>;
    auto filter = itk::MedianImageFilter<Image, Image>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetRadius(size_of<typename Image::SizeType, D>(radius));
    run(call("Median", in, list(radius)), filter.GetPointer());
}

// Sums of reals are taken axis by axis, where ITK goes from voxel to voxel: the last bits of a double may differ.
template <typename T, unsigned D> static void mean(const std::string &in, const numbers &radius) {
    using Image = itk::Image<T, D>;
    auto filter = itk::MeanImageFilter<Image, Image>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetRadius(size_of<typename Image::SizeType, D>(radius));
    double tolerance = std::is_same<T, double>::value ? 1e-14 : std::is_same<T, float>::value ? 1e-7 : 0;
    if (sizeof(T) == 8 && std::is_integral<T>::value) tolerance = 1e-15;
    run(call("Mean", in, list(radius)), filter.GetPointer(), tolerance);
}

template <typename T, unsigned D> static void gradient(const std::string &in, bool by_spacing) {
    auto filter = itk::GradientMagnitudeImageFilter<itk::Image<T, D>, itk::Image<float, D>>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetUseImageSpacing(by_spacing);
    run(call("GradientMagnitude", in, by_spacing ? "true" : "false"), filter.GetPointer());
}

template <typename T, unsigned D> static void curvature_flow(const std::string &in, double time, unsigned steps) {
    auto filter = itk::CurvatureFlowImageFilter<itk::Image<T, D>, itk::Image<double, D>>::New();
    filter->SetInput(image<T, D>(in));
    filter->SetTimeStep(time);
    filter->SetNumberOfIterations(steps);
    run(call("CurvatureFlow", in, time, double(steps)), filter.GetPointer());
}

// The filters that look around, on one kind of image.
template <typename T, unsigned D> static void boxes(const char *grid, char pattern) {
    const std::string in = name<T>(grid, pattern);
    median<T, D>(in, {1, 1, 1, 1});
    median<T, D>(in, {2, 1, 0, 1});
    mean<T, D>(in, {1, 1, 1, 1});
    mean<T, D>(in, {0, 2, 3, 0});
    gradient<T, D>(in, true);
    gradient<T, D>(in, false);
}

template <typename T, unsigned D> static void smoothing(const char *grid, char pattern) {
    const std::string in = name<T>(grid, pattern);
    recursive_gaussian<T, D>(in, {1, 1, 1, 1});
    recursive_gaussian<T, D>(in, {0.3, 2.5, 4, 7});
    discrete_gaussian<T, D>(in, {1, 1, 1, 1}, 32, 0.01, true);
    discrete_gaussian<T, D>(in, {6, 0, 0.3, 2}, 5, 0.001, false);
}

int main() {
    std::printf("# Written by itk_record_B with ITK %s; see record.hpp. Not edited by hand.\n",
                itk::Version::GetITKVersion());
    record::for_each_type([](auto type) {
        using T = decltype(type);
        boxes<T, 3>("vol", 'a');
        boxes<T, 2>("2d", 's');
        smoothing<T, 3>("vol", 'a');
    });
    boxes<float, 4>("4d", 'a');
    boxes<uint8_t, 4>("4d", 'a');
    boxes<float, 3>("flat", 'p');
    median<float, 3>("f32_vol_a", {2, 2, 2});
    median<uint16_t, 3>("u16_vol_a", {3, 0, 5});
    median<double, 2>("f64_2d_a", {9, 9});
    smoothing<float, 2>("2d", 'w');
    smoothing<int16_t, 4>("4d", 's');
    smoothing<uint8_t, 3>("vol", 'm');
    discrete_gaussian<float, 3>("f32_flat_p", {30, 4, 9}, 32, 0.01, true);
    curvature_flow<float, 3>("f32_vol_a", 0.05, 5);
    curvature_flow<float, 3>("f32_vol_w", 0.0625, 12);
    curvature_flow<int16_t, 2>("i16_2d_s", 0.1, 3);
    curvature_flow<float, 4>("f32_4d_p", 0.02, 4);
    curvature_flow<uint8_t, 3>("u8_flat_p", 0.05, 1);
    curvature_flow<double, 2>("f64_2d_w", 0.05, 0);
}
