/* itk_voxelwise.cpp - peers that go voxel by voxel: see itk.h. */
#include <itkAndImageFilter.h>
#include <itkBinaryThresholdImageFilter.h>
#include <itkMaskImageFilter.h>
#include <itkMinimumMaximumImageFilter.h>
#include <itkNotImageFilter.h>
#include <itkOrImageFilter.h>
#include <itkStatisticsImageFilter.h>

#include "perf/kernels/itk_common.h"

using Threshold = itk::BinaryThresholdImageFilter<Scalars, Mask>;

static Threshold::Pointer threshold(const itk_images *images, float low, float high) {
    auto filter = Threshold::New();
    filter->SetInput(wrap(images, images->scalars));
    filter->SetLowerThreshold(low);
    filter->SetUpperThreshold(high);
    filter->SetInsideValue(1);
    filter->SetOutsideValue(0);
    return filter;
}

double itk_greater_equal(const itk_images *images, void *out) {
    auto filter = threshold(images, 300, itk::NumericTraits<float>::max());
    return update_image(filter.GetPointer(), out);
}

double itk_between(const itk_images *images, void *out) {
    auto filter = threshold(images, 300, 500);
    return update_image(filter.GetPointer(), out);
}

template <class Filter> static double join(const itk_images *images, void *out) {
    auto filter = Filter::New();
    filter->SetInput1(wrap(images, images->mask));
    filter->SetInput2(wrap(images, images->seeds));
    return update_image(filter.GetPointer(), out);
}

double itk_and(const itk_images *images, void *out) {
    return join<itk::AndImageFilter<Mask, Mask, Mask>>(images, out);
}

double itk_or(const itk_images *images, void *out) {
    return join<itk::OrImageFilter<Mask, Mask, Mask>>(images, out);
}

double itk_not(const itk_images *images, void *out) {
    auto filter = itk::NotImageFilter<Mask, Mask>::New();
    filter->SetInput(wrap(images, images->mask));
    return update_image(filter.GetPointer(), out);
}

double itk_mask(const itk_images *images, void *out) {
    auto filter = itk::MaskImageFilter<Scalars, Mask, Scalars>::New();
    filter->SetInput(wrap(images, images->scalars));
    filter->SetMaskImage(wrap(images, images->mask));
    return update_image(filter.GetPointer(), out);
}

/* (300 <= scalars and scalars <= 500) or mask: four filters, as VoxLogicA-2 runs them. */
double itk_chain(const itk_images *images, void *out) {
    auto low = threshold(images, 300, itk::NumericTraits<float>::max());
    auto high = threshold(images, itk::NumericTraits<float>::NonpositiveMin(), 500);
    auto both = itk::AndImageFilter<Mask, Mask, Mask>::New();
    auto last = itk::OrImageFilter<Mask, Mask, Mask>::New();
    both->SetInput1(low->GetOutput());
    both->SetInput2(high->GetOutput());
    last->SetInput1(both->GetOutput());
    last->SetInput2(wrap(images, images->mask));
    return update_image(last.GetPointer(), out);
}

/* How many voxels are not both in 300 to 500 and in the mask: four filters, the last one a reduction. */
double itk_chain_volume(const itk_images *images, void *out) {
    auto range = threshold(images, 300, 500);
    auto both = itk::AndImageFilter<Mask, Mask, Mask>::New();
    auto rest = itk::NotImageFilter<Mask, Mask>::New();
    auto last = itk::StatisticsImageFilter<Mask>::New();
    both->SetInput1(range->GetOutput());
    both->SetInput2(wrap(images, images->mask));
    rest->SetInput(both->GetOutput());
    last->SetInput(rest->GetOutput());
    double seconds = update(last.GetPointer()), sum = last->GetSum();
    if (out != nullptr) std::memcpy(out, &sum, sizeof sum);
    return seconds;
}

double itk_extremes(const itk_images *images, void *out) {
    auto filter = itk::MinimumMaximumImageFilter<Scalars>::New();
    filter->SetInput(wrap(images, images->scalars));
    double seconds = update(filter.GetPointer()), found[2] = {filter->GetMinimum(), filter->GetMaximum()};
    if (out != nullptr) std::memcpy(out, found, sizeof found);
    return seconds;
}

double itk_volume(const itk_images *images, void *out) {
    auto filter = itk::StatisticsImageFilter<Mask>::New();
    filter->SetInput(wrap(images, images->mask));
    double seconds = update(filter.GetPointer()), sum = filter->GetSum();
    if (out != nullptr) std::memcpy(out, &sum, sizeof sum);
    return seconds;
}
