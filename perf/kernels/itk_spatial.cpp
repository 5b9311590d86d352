/* itk_spatial.cpp - peers that look around: see itk.h. Settings are those of SimpleITK's functions of the name, as
 * VoxLogicA-2 calls them. */
#include <itkBinaryDilateImageFilter.h>
#include <itkBinaryErodeImageFilter.h>
#include <itkFlatStructuringElement.h>
#include <itkGradientMagnitudeImageFilter.h>
#include <itkMultiThreaderBase.h>
#include <itkSignedMaurerDistanceMapImageFilter.h>

#include "perf/kernels/itk_common.h"

void itk_use_threads(unsigned count) {
    itk::MultiThreaderBase::SetGlobalMaximumNumberOfThreads(count);
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(count);
}

using Box = itk::FlatStructuringElement<3>;

template <class Filter> static double morphology(const itk_images *images, void *out) {
    auto filter = Filter::New();
    Box::RadiusType radius;
    radius.Fill(1);
    filter->SetInput(wrap(images, images->mask));
    filter->SetKernel(Box::Box(radius));
    filter->SetForegroundValue(1);
    filter->SetBackgroundValue(0);
    return update_image(filter.GetPointer(), out);
}

double itk_near(const itk_images *images, void *out) {
    return morphology<itk::BinaryDilateImageFilter<Mask, Mask, Box>>(images, out);
}

double itk_interior(const itk_images *images, void *out) {
    return morphology<itk::BinaryErodeImageFilter<Mask, Mask, Box>>(images, out);
}

double itk_distance(const itk_images *images, void *out) {
    auto filter = itk::SignedMaurerDistanceMapImageFilter<Mask, Scalars>::New();
    filter->SetInput(wrap(images, images->mask));
    filter->SetSquaredDistance(false);
    filter->SetUseImageSpacing(true);
    filter->SetInsideIsPositive(false);
    return update_image(filter.GetPointer(), out);
}

double itk_gradient(const itk_images *images, void *out) {
    auto filter = itk::GradientMagnitudeImageFilter<Scalars, Scalars>::New();
    filter->SetInput(wrap(images, images->scalars));
    filter->SetUseImageSpacing(true);
    return update_image(filter.GetPointer(), out);
}
