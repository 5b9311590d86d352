// record_A.cpp - ITK's results of the voxelwise functions of simpleitk: writes A.txt to standard output.
#include <itkAbsImageFilter.h>
#include <itkAbsoluteValueDifferenceImageFilter.h>
#include <itkAddImageFilter.h>
#include <itkAndImageFilter.h>
#include <itkAtanImageFilter.h>
#include <itkBinaryFunctorImageFilter.h>
#include <itkBinaryThresholdImageFilter.h>
#include <itkCastImageFilter.h>
#include <itkDivideImageFilter.h>
#include <itkExpImageFilter.h>
#include <itkExpNegativeImageFilter.h>
#include <itkInvertIntensityImageFilter.h>
#include <itkLog10ImageFilter.h>
#include <itkLogImageFilter.h>
#include <itkLogicOpsFunctors.h>
#include <itkMaskImageFilter.h>
#include <itkMaximumImageFilter.h>
#include <itkMinimumImageFilter.h>
#include <itkModulusImageFilter.h>
#include <itkMultiplyImageFilter.h>
#include <itkNotImageFilter.h>
#include <itkOrImageFilter.h>
#include <itkPowImageFilter.h>
#include <itkRescaleIntensityImageFilter.h>
#include <itkSinImageFilter.h>
#include <itkSqrtImageFilter.h>
#include <itkSquareImageFilter.h>
#include <itkSquaredDifferenceImageFilter.h>
#include <itkSubtractImageFilter.h>
#include <itkUnaryFunctorImageFilter.h>
#include <itkXorImageFilter.h>

#include "record.hpp"

using record::call;
using record::image;
using record::name;
using record::refused;
using record::run;

template <typename T, unsigned D> using Image = itk::Image<T, D>;
template <typename T, unsigned D> using Vector = itk::VectorImage<T, D>;

// SimpleITK converts a constant to the pixel type as C++ does.
template <typename T> T constant(double number) {
    return static_cast<T>(number);
}

template <typename T> constexpr bool is_whole = std::is_integral<T>::value;

// ---- two operands ----

template <typename Filter, typename A, typename B>
void pair(const char *function, const std::string &a, const std::string &b, A left, B right, double tolerance = 0) {
    auto filter = Filter::New();
    filter->SetInput1(left);
    filter->SetInput2(right);
    run(call(function, a, b), filter.GetPointer(), tolerance);
}

// Image and image, image and number, number and image.
template <typename Filter, typename T, unsigned D>
void three(const char *function, const std::string &a, const std::string &b, double number, double tolerance = 0) {
    pair<Filter>(function, a, b, image<T, D>(a).GetPointer(), image<T, D>(b).GetPointer(), tolerance);
    auto right = Filter::New();
    right->SetInput1(image<T, D>(a));
    right->SetConstant2(constant<T>(number));
    run(call(function, a, number), right.GetPointer(), tolerance);
    auto left = Filter::New();
    left->SetConstant1(constant<T>(number));
    left->SetInput2(image<T, D>(a));
    run(call(function, number, a), left.GetPointer(), tolerance);
}

template <typename T> void arithmetic() {
    using I = Image<T, 3>;
    const std::string a = name<T>("3d", 'a'), b = name<T>("3d", 'b'), s = name<T>("3d", 's'), p = name<T>("3d", 'p');
    three<itk::AddImageFilter<I, I, I>, T, 3>("Add", a, b, 3.7);
    three<itk::SubtractImageFilter<I, I, I>, T, 3>("Subtract", a, b, 3.7);
    three<itk::MultiplyImageFilter<I, I, I>, T, 3>("Multiply", a, b, 3.7);
    three<itk::DivideImageFilter<I, I, I>, T, 3>("Divide", a, s, 3.7);
    three<itk::DivideImageFilter<I, I, I>, T, 3>("Divide", s, p, 0.25);
    three<itk::MaximumImageFilter<I, I, I>, T, 3>("Maximum", a, b, 3.7);
    three<itk::MinimumImageFilter<I, I, I>, T, 3>("Minimum", a, b, 3.7);
    three<itk::PowImageFilter<I, I, I>, T, 3>("Pow", p, s, 2.5, is_whole<T> ? 0 : 1e-12);
    three<itk::SquaredDifferenceImageFilter<I, I, I>, T, 3>("SquaredDifference", p, s, 2.5);
    three<itk::AbsoluteValueDifferenceImageFilter<I, I, I>, T, 3>("AbsoluteValueDifference", p, s, 2.5);
    using Floor = itk::BinaryFunctorImageFilter<I, I, I, itk::Functor::DivFloor<T, T, T>>;
    three<Floor, T, 3>("DivideFloor", p, s, 3.7);
    using Real = itk::BinaryFunctorImageFilter<I, I, Image<double, 3>, itk::Functor::DivReal<T, T, double>>;
    three<Real, T, 3>("DivideReal", p, s, 3.7);
}

template <typename T> void arithmetic_of_vectors() {
    using V = Vector<T, 2>;
    const std::string a = name<T>("2d", 'a', 3), b = name<T>("2d", 'b', 3);
    const auto left = record::vector<T, 2>(a), right = record::vector<T, 2>(b);
    pair<itk::AddImageFilter<V, V, V>>("Add", a, b, left.GetPointer(), right.GetPointer());
    pair<itk::SubtractImageFilter<V, V, V>>("Subtract", a, b, left.GetPointer(), right.GetPointer());
    auto filter = itk::AddImageFilter<V, V, V>::New();
    itk::VariableLengthVector<T> number(3);
    number.Fill(constant<T>(3.7));
    filter->SetInput1(left);
    filter->SetConstant2(number);
    run(call("Add", a, 3.7), filter.GetPointer());
    for (const char *function : {"Multiply", "Divide", "Maximum", "Pow", "Equal", "And", "Not"}) // not made for vectors
        if (std::string(function) == "Not")
            refused(call(function, a));
        else
            refused(call(function, a, b));
}

template <typename T> void bits() {
    using I = Image<T, 2>;
    const std::string a = name<T>("2d", 'a'), b = name<T>("2d", 'b'), s = name<T>("2d", 's');
    three<itk::AndImageFilter<I, I, I>, T, 2>("And", a, b, 5);
    three<itk::OrImageFilter<I, I, I>, T, 2>("Or", a, b, 6);
    three<itk::XorImageFilter<I, I, I>, T, 2>("Xor", a, b, 7);
    auto filter = itk::NotImageFilter<I, I>::New();
    filter->SetInput(image<T, 2>(s));
    run(call("Not", s), filter.GetPointer());
    three<itk::ModulusImageFilter<I, I, I>, T, 2>("Modulus", a, s, 7);
}

template <typename T, template <typename, typename, typename> class Functor> void comparison(const char *function) {
    using Filter = itk::BinaryFunctorImageFilter<Image<T, 4>, Image<T, 4>, Image<uint8_t, 4>, Functor<T, T, uint8_t>>;
    const std::string s = name<T>("4d", 's'), p = name<T>("4d", 'p');
    three<Filter, T, 4>(function, s, p, 1.25);
    auto filter = Filter::New();
    filter->SetInput1(image<T, 4>(s));
    filter->SetConstant2(constant<T>(1.25));
    filter->GetFunctor().SetBackgroundValue(9);
    filter->GetFunctor().SetForegroundValue(200);
    run(call(function, s, 1.25, 9, 200), filter.GetPointer()); // the background comes first
}

template <typename T> void comparisons() {
    comparison<T, itk::Functor::Equal>("Equal");
    comparison<T, itk::Functor::NotEqual>("NotEqual");
    comparison<T, itk::Functor::Less>("Less");
    comparison<T, itk::Functor::LessEqual>("LessEqual");
    comparison<T, itk::Functor::Greater>("Greater");
    comparison<T, itk::Functor::GreaterEqual>("GreaterEqual");
}

static void with_nan() {
    using I = Image<float, 3>;
    const std::string n = "f32_3d_n", a = "f32_3d_b";
    three<itk::AddImageFilter<I, I, I>, float, 3>("Add", n, a, 0.1);
    three<itk::MaximumImageFilter<I, I, I>, float, 3>("Maximum", n, a, 0.1);
    three<itk::MinimumImageFilter<I, I, I>, float, 3>("Minimum", n, a, 0.1);
    using Less = itk::BinaryFunctorImageFilter<I, I, Image<uint8_t, 3>, itk::Functor::Less<float, float, uint8_t>>;
    three<Less, float, 3>("Less", n, a, 0.1);
    using Other = itk::BinaryFunctorImageFilter<I, I, Image<uint8_t, 3>, itk::Functor::NotEqual<float, float, uint8_t>>;
    three<Other, float, 3>("NotEqual", n, a, 0.1);
}

static void refusals() {
    refused("Add(u8_3d_a, i16_3d_a)");  // another pixel type
    refused("Add(u8_3d_a, u8_flat_a)"); // another grid
    refused("Less(f32_2d_a, f64_2d_a)");
    refused("Maximum(u8_3d_a, u8_2d_a)"); // another number of axes
    refused("Add(1, 2)");
    refused("And(f32_3d_a, f32_3d_b)"); // whole numbers only
    refused("Xor(f64_3d_a, 1)");
    refused("Not(f32_3d_a)");
    refused("Modulus(f32_3d_a, 3)");
    refused("And(u8_3d_a, 1.5)");
    refused("UnaryMinus(u8_3d_a)"); // signed pixels only
    refused("UnaryMinus(u64_3d_a)");
    refused("Mask(u8_3d_a, f32_3d_a)"); // a mask is of whole numbers
    refused("Mask(u8_3d_a, u8_flat_a)");
    refused("BinaryThreshold(u8x3_2d_a, 1, 2, 1, 0)");
}

// ---- one operand ----

template <template <typename, typename> class Filter, typename T>
void single(const char *function, char pattern, double tolerance = 0) {
    const std::string in = name<T>("3d", pattern), v = name<T>("2d", pattern, 2);
    auto filter = Filter<Image<T, 3>, Image<T, 3>>::New();
    filter->SetInput(image<T, 3>(in));
    run(call(function, in), filter.GetPointer(), tolerance);
}

template <typename T> void functions() {
    const double near = is_whole<T> ? 0 : 1e-12; // of libm
    single<itk::AbsImageFilter, T>("Abs", 'a');
    single<itk::SqrtImageFilter, T>("Sqrt", 'p');
    single<itk::SquareImageFilter, T>("Square", 'p');
    single<itk::ExpImageFilter, T>("Exp", 's', near);
    single<itk::ExpNegativeImageFilter, T>("ExpNegative", 's', near);
    single<itk::LogImageFilter, T>("Log", 'p', near);
    single<itk::Log10ImageFilter, T>("Log10", 'p', near);
    single<itk::SinImageFilter, T>("Sin", 's', near);
    single<itk::AtanImageFilter, T>("Atan", 's', near);
    const std::string a = name<T>("3d", 'a');
    for (double maximum : {255.0, 100.5}) {
        auto filter = itk::InvertIntensityImageFilter<Image<T, 3>, Image<T, 3>>::New();
        filter->SetInput(image<T, 3>(a));
        filter->SetMaximum(constant<T>(maximum));
        run(maximum == 255 ? call("InvertIntensity", a) : call("InvertIntensity", a, maximum), filter.GetPointer());
    }
    if (!std::is_signed<T>::value) return;
    using Minus = itk::Functor::UnaryMinus<T, T>;
    auto filter = itk::UnaryFunctorImageFilter<Image<T, 3>, Image<T, 3>, Minus>::New();
    filter->SetInput(image<T, 3>(a));
    run(call("UnaryMinus", a), filter.GetPointer());
}

template <typename T> void thresholds() {
    const auto threshold = [](const std::string &in, double low, double high, int inside, int outside) {
        auto filter = itk::BinaryThresholdImageFilter<Image<T, 2>, Image<uint8_t, 2>>::New();
        filter->SetInput(image<T, 2>(in));
        filter->SetLowerThreshold(constant<T>(low));
        filter->SetUpperThreshold(constant<T>(high));
        filter->SetInsideValue(static_cast<uint8_t>(inside));
        filter->SetOutsideValue(static_cast<uint8_t>(outside));
        run(call("BinaryThreshold", in, low, high, inside, outside), filter.GetPointer());
    };
    threshold(name<T>("2d", 'a'), 10.6, 100.2, 1, 0);
    threshold(name<T>("2d", 's'), 1.0, 2.0, 7, 200);
    threshold(name<T>("2d", 's'), 2.0, 1.0, 1, 0);
    if (std::is_same<T, float>::value) threshold("f32_2d_n", -1.0, 100.0, 1, 0);
}

template <typename T, typename M> void mask(double outside, double masking) {
    const std::string a = name<T>("3d", 'a'), m = name<M>("3d", 's'), v = name<T>("2d", 'a', 2);
    auto filter = itk::MaskImageFilter<Image<T, 3>, Image<M, 3>, Image<T, 3>>::New();
    filter->SetInput(image<T, 3>(a));
    filter->SetMaskImage(image<M, 3>(m));
    filter->SetOutsideValue(constant<T>(outside));
    filter->SetMaskingValue(constant<M>(masking));
    run(call("Mask", a, m, outside, masking), filter.GetPointer());
}

template <typename T> void masks() {
    mask<T, uint8_t>(0, 0);
    mask<T, int16_t>(7.5, -1);
    mask<T, uint64_t>(100, 3);
    const std::string v = name<T>("2d", 'a', 2), m = "u16_2d_a";
    auto filter = itk::MaskImageFilter<Vector<T, 2>, Image<uint16_t, 2>, Vector<T, 2>>::New();
    itk::VariableLengthVector<T> outside(2);
    outside.Fill(9);
    filter->SetInput(record::vector<T, 2>(v));
    filter->SetMaskImage(image<uint16_t, 2>(m));
    filter->SetOutsideValue(outside);
    run(call("Mask", v, m, 9), filter.GetPointer());
}

int main() {
    std::printf("# Written by itk_record_A with ITK %s; see record.hpp. Not edited by hand.\n",
                itk::Version::GetITKVersion());
    record::for_each_type([](auto type) {
        using T = decltype(type);
        thresholds<T>();
        arithmetic<T>();
        comparisons<T>();
        functions<T>();
        masks<T>();
        if constexpr (is_whole<T>) bits<T>();
    });
    arithmetic_of_vectors<uint8_t>();
    arithmetic_of_vectors<int16_t>();
    arithmetic_of_vectors<float>();
    with_nan();
    refusals();
}
