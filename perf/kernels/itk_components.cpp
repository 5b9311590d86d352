/* itk_components.cpp - peers about connected components: see itk.h. */
#include <itkBinaryReconstructionByDilationImageFilter.h>
#include <itkConnectedComponentImageFilter.h>

#include "perf/kernels/itk_common.h"

double itk_components(const itk_images *images, void *out) {
    auto filter = itk::ConnectedComponentImageFilter<Mask, Volume<uint32_t>>::New();
    filter->SetInput(wrap(images, images->mask));
    filter->SetFullyConnected(true);
    return update_image(filter.GetPointer(), out);
}

/* The components of the mask that hold a seed. */
double itk_through(const itk_images *images, void *out) {
    auto filter = itk::BinaryReconstructionByDilationImageFilter<Mask>::New();
    filter->SetMarkerImage(wrap(images, images->seeds));
    filter->SetMaskImage(wrap(images, images->mask));
    filter->SetForegroundValue(1);
    filter->SetBackgroundValue(0);
    filter->SetFullyConnected(true);
    return update_image(filter.GetPointer(), out);
}
