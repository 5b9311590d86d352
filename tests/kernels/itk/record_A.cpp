// record_A.cpp - ITK's results of the voxelwise functions and the functions of grids: writes A.txt to standard output.
#include <itkBinaryThresholdImageFilter.h>
#include <itkCastImageFilter.h>

#include "record.hpp"

using record::call;
using record::image;
using record::name;
using record::run;

template <typename T, unsigned D>
static void threshold(const std::string &in, double low, double high, int inside, int outside) {
    using Filter = itk::BinaryThresholdImageFilter<itk::Image<T, D>, itk::Image<uint8_t, D>>;
    auto filter = Filter::New();
    filter->SetInput(image<T, D>(in));
    filter->SetLowerThreshold(static_cast<T>(low));
    filter->SetUpperThreshold(static_cast<T>(high));
    filter->SetInsideValue(static_cast<uint8_t>(inside));
    filter->SetOutsideValue(static_cast<uint8_t>(outside));
    run(call("BinaryThreshold", in, low, high, inside, outside), filter.GetPointer());
}

static void thresholds() {
    record::for_each_type([](auto type) {
        using T = decltype(type);
        threshold<T, 3>(name<T>("3d", 'a'), 10.6, 100.2, 1, 0);
        threshold<T, 2>(name<T>("2d", 's'), 1.0, 2.0, 7, 200);
        threshold<T, 2>(name<T>("2d", 's'), 2.0, 1.0, 1, 0);
    });
    threshold<float, 2>("f32_2d_n", -1.0, 100.0, 1, 0);
}

int main() {
    std::printf("# Written by itk_record_A with ITK %s; see record.hpp. Not edited by hand.\n",
                itk::Version::GetITKVersion());
    thresholds();
}
