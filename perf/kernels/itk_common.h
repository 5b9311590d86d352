/* itk_common.h - images in and out of the peers, and their time. */
#ifndef LOOM_PERF_ITK_COMMON_H
#define LOOM_PERF_ITK_COMMON_H

#include <chrono>
#include <cstring>

#include <itkImage.h>

#include "perf/kernels/itk.h"

template <class Pixel> using Volume = itk::Image<Pixel, 3>;
using Mask = Volume<unsigned char>;
using Scalars = Volume<float>;

/* An image over voxels that stay the caller's. */
template <class Pixel> typename Volume<Pixel>::Pointer wrap(const itk_images *of, const Pixel *voxels) {
    auto image = Volume<Pixel>::New();
    typename Volume<Pixel>::SizeType size;
    typename Volume<Pixel>::SpacingType spacing;
    for (unsigned d = 0; d < 3; d++) {
        size[d] = of->size[d];
        spacing[d] = of->spacing[d];
    }
    image->SetRegions(size);
    image->SetSpacing(spacing);
    image->GetPixelContainer()->SetImportPointer(const_cast<Pixel *>(voxels), size[0] * size[1] * size[2], false);
    return image;
}

/* Seconds of everything up to the filter's end. */
template <class Filter> double update(Filter *last) {
    auto start = std::chrono::steady_clock::now();
    last->Update();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class Image> void copy_out(const Image *image, void *out) {
    auto voxels = image->GetLargestPossibleRegion().GetNumberOfPixels();
    if (out != nullptr) std::memcpy(out, image->GetBufferPointer(), voxels * sizeof(typename Image::PixelType));
}

template <class Filter> double update_image(Filter *last, void *out) {
    double seconds = update(last);
    copy_out(last->GetOutput(), out);
    return seconds;
}

#endif
