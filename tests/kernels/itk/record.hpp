// record.hpp - what programs share that run ITK on the inputs of inputs.h and write down what it gives.
//
// A line of the fixture file is one case, its fields separated by tabs:
//   EXPRESSION  TYPE[xCOMPONENTS]  SIZE  SPACING  ORIGIN  DIRECTION  TOLERANCE  DIGEST  MIN  MAX  SUM  [SAMPLES]
//   EXPRESSION  numbers  TOLERANCE  VALUES
//   EXPRESSION  refused
// EXPRESSION is ImgQL whose names are inputs. Lists are separated by commas; SIZE by x. "= NAME" in place of the three
// fields of the geometry: that of an input. A tolerance of 0 asks for equal digests; else MIN, MAX, SUM (NaN and
// infinities left out) and SAMPLES, 16 values evenly spread, are compared within it: relative to the largest value.
#ifndef LOOM_TESTS_KERNELS_ITK_RECORD_HPP
#define LOOM_TESTS_KERNELS_ITK_RECORD_HPP

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include <itkImage.h>
#include <itkVectorImage.h>
#include <itkVersion.h>

#include "inputs.h"

namespace record {

template <typename T> const char *type_name() {
    if (std::is_same<T, float>::value) return "f32";
    if (std::is_same<T, double>::value) return "f64";
    static const char *const names[2][4] = {{"u8", "u16", "u32", "u64"}, {"i8", "i16", "i32", "i64"}};
    const int log2 = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return names[std::is_signed<T>::value][log2];
}

inline itk_input parse(const std::string &name) {
    itk_input input;
    if (!itk_input_parse(name.c_str(), name.size(), &input)) {
        std::fprintf(stderr, "%s names no input\n", name.c_str());
        std::exit(1);
    }
    return input;
}

template <typename Image> void set_grid(Image *image, const itk_input &input) {
    typename Image::SizeType size;
    typename Image::SpacingType spacing;
    typename Image::PointType origin;
    typename Image::DirectionType direction;
    for (unsigned d = 0; d < Image::ImageDimension; d++) {
        size[d] = input.size[d];
        spacing[d] = input.spacing[d];
        origin[d] = input.origin[d];
        for (unsigned column = 0; column < Image::ImageDimension; column++)
            direction[d][column] = input.direction[d * input.rank + column];
    }
    image->SetRegions(size);
    image->SetSpacing(spacing);
    image->SetOrigin(origin);
    image->SetDirection(direction);
}

// The input of that pattern on that grid: scalar(image<float, 3>("3d", 'a')).
template <typename T> std::string name(const char *grid, char pattern, unsigned components = 1) {
    std::string text = type_name<T>();
    if (components > 1) text += "x" + std::to_string(components);
    return text + "_" + grid + "_" + pattern;
}

template <typename T, unsigned D> typename itk::Image<T, D>::Pointer image(const std::string &name) {
    const itk_input input = parse(name);
    auto made = itk::Image<T, D>::New();
    if (input.rank != D || input.components != 1 || std::string(input.type) != type_name<T>()) std::abort();
    set_grid(made.GetPointer(), input);
    made->Allocate();
    itk_input_fill(&input, made->GetBufferPointer());
    return made;
}

template <typename T, unsigned D> typename itk::VectorImage<T, D>::Pointer vector(const std::string &name) {
    const itk_input input = parse(name);
    auto made = itk::VectorImage<T, D>::New();
    if (input.rank != D || std::string(input.type) != type_name<T>()) std::abort();
    set_grid(made.GetPointer(), input);
    made->SetNumberOfComponentsPerPixel(input.components);
    made->Allocate();
    itk_input_fill(&input, made->GetBufferPointer());
    return made;
}

template <typename List> void print_list(const List &list, unsigned count) {
    for (unsigned k = 0; k < count; k++)
        std::printf("%s%.17g", k == 0 ? "" : ",", double(list[k]));
}

template <typename Image> bool is_on(const Image *image, const itk_input &input) {
    bool same = Image::ImageDimension == input.rank;
    for (unsigned d = 0; same && d < input.rank; d++) {
        same = image->GetSpacing()[d] == input.spacing[d] && image->GetOrigin()[d] == input.origin[d];
        for (unsigned column = 0; column < input.rank; column++)
            same = same && image->GetDirection()[d][column] == input.direction[d * input.rank + column];
    }
    return same;
}

template <typename Image> void print_geometry(const Image *image) {
    const unsigned rank = Image::ImageDimension;
    for (const char *grid : {"2d", "3d", "4d"})
        if (is_on(image, parse(std::string("u8_") + grid + "_a"))) {
            std::printf("= u8_%s_a", grid);
            return;
        }
    print_list(image->GetSpacing(), rank);
    std::printf("\t");
    print_list(image->GetOrigin(), rank);
    std::printf("\t");
    for (unsigned row = 0; row < rank; row++)
        for (unsigned column = 0; column < rank; column++)
            std::printf("%s%.17g", row + column == 0 ? "" : ",", image->GetDirection()[row][column]);
}

template <typename T> void print_values(const T *values, uint64_t count, double tolerance) {
    double least = INFINITY, greatest = -INFINITY, sum = 0;
    for (uint64_t k = 0; k < count; k++) {
        const double value = double(values[k]);
        if (!std::isfinite(value)) continue;
        least = std::min(least, value);
        greatest = std::max(greatest, value);
        sum += value;
    }
    std::printf("\t%g\t%016llx\t%.17g\t%.17g\t%.17g", tolerance,
                static_cast<unsigned long long>(itk_digest(type_name<T>(), values, count)), least, greatest, sum);
    for (uint64_t k = 0; tolerance > 0 && k < 16; k++)
        std::printf("%s%.9g", k == 0 ? "\t" : ",", double(values[k * (count - 1) / 15]));
    std::printf("\n");
}

// As SimpleITK does with every result: its first voxel has index 0, and the origin is where that is.
template <typename Image> void move_index_to_zero(Image *image) {
    typename Image::RegionType region = image->GetLargestPossibleRegion();
    typename Image::IndexType index = region.GetIndex();
    typename Image::PointType origin;
    image->TransformIndexToPhysicalPoint(index, origin);
    image->SetOrigin(origin);
    index.Fill(0);
    region.SetIndex(index);
    image->SetRegions(region);
}

// call("Add", "f32_3d_a", 0.5) is "Add(f32_3d_a, 0.5)".
inline std::string text(const std::string &name) {
    return name;
}
inline std::string text(const char *name) {
    return name;
}
inline std::string text(double number) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.15g", number);
    return digits;
}
template <typename First, typename... Rest> std::string call(const char *function, First first, Rest... rest) {
    std::string expression = std::string(function) + "(" + text(first);
    for (const std::string &next : std::vector<std::string>{text(rest)...})
        expression += ", " + next;
    return expression + ")";
}

// Writes down an image (itk::Image or itk::VectorImage). Tolerance 0: every bit of the result counts.
template <typename Image> void result(const std::string &expression, Image *image, double tolerance = 0) {
    using T = typename Image::InternalPixelType;
    const unsigned components = image->GetNumberOfComponentsPerPixel();
    move_index_to_zero(image);
    const auto size = image->GetLargestPossibleRegion().GetSize();
    std::printf("%s\t%s", expression.c_str(), type_name<T>());
    if (components > 1) std::printf("x%u", components);
    for (unsigned d = 0; d < Image::ImageDimension; d++)
        std::printf("%s%llu", d == 0 ? "\t" : "x", static_cast<unsigned long long>(size[d]));
    std::printf("\t");
    print_geometry(image);
    print_values(image->GetBufferPointer(),
                 uint64_t(image->GetLargestPossibleRegion().GetNumberOfPixels()) * components, tolerance);
}

// Runs the filter and writes down its first output; "refused" if ITK throws.
template <typename Filter> void run(const std::string &expression, Filter *filter, double tolerance = 0) {
    try {
        filter->Update();
    } catch (const itk::ExceptionObject &) {
        std::printf("%s\trefused\n", expression.c_str());
        return;
    }
    result(expression, filter->GetOutput(), tolerance);
}

inline void numbers(const std::string &expression, const std::vector<double> &values, double tolerance = 0) {
    std::printf("%s\tnumbers\t%g\t", expression.c_str(), tolerance);
    print_list(values, unsigned(values.size()));
    std::printf("\n");
}

// What SimpleITK refuses without asking ITK: the pixel types that a function is not made for (its json files).
inline void refused(const std::string &expression) {
    std::printf("%s\trefused\n", expression.c_str());
}

// Calls each<T>() for every pixel type.
template <typename Each> void for_each_type(Each &&each) {
    each(uint8_t{});
    each(int8_t{});
    each(uint16_t{});
    each(int16_t{});
    each(uint32_t{});
    each(int32_t{});
    each(uint64_t{});
    each(int64_t{});
    each(float{});
    each(double{});
}

} // namespace record

#endif
