/* gdcm_shim.cpp - GDCM behind a C interface. Types, rescaling and geometry as ITK 5.2's GDCMImageIO takes them from
 * GDCM. No exception leaves this file. */
#include "io/dicom/gdcm.h"

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <gdcmAttribute.h>
#include <gdcmImageChangePhotometricInterpretation.h>
#include <gdcmImageHelper.h>
#include <gdcmImageReader.h>
#include <gdcmReader.h>
#include <gdcmRescaler.h>
#include <gdcmTrace.h>

static void be_quiet() {
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
    gdcm::Trace::DebugOff();
}

static loom_status fail_damaged(const char *path, const char *what, loom_error *err) {
    return loom_fail(err, LOOM_BAD_INPUT, "%s: the DICOM data is damaged (%s); get a fresh copy of the file", path,
                     what);
}

/* The kind and size of a number, or false. */
static bool name_type(gdcm::PixelFormat::ScalarType type, loom_dicom *dicom) {
    switch (type) {
    case gdcm::PixelFormat::UINT8:
        dicom->kind = 'u', dicom->bytes = 1;
        return true;
    case gdcm::PixelFormat::INT8:
        dicom->kind = 'i', dicom->bytes = 1;
        return true;
    case gdcm::PixelFormat::UINT12:
    case gdcm::PixelFormat::UINT16:
        dicom->kind = 'u', dicom->bytes = 2;
        return true;
    case gdcm::PixelFormat::INT12:
    case gdcm::PixelFormat::INT16:
        dicom->kind = 'i', dicom->bytes = 2;
        return true;
    case gdcm::PixelFormat::UINT32:
        dicom->kind = 'u', dicom->bytes = 4;
        return true;
    case gdcm::PixelFormat::INT32:
        dicom->kind = 'i', dicom->bytes = 4;
        return true;
    case gdcm::PixelFormat::FLOAT32:
        dicom->kind = 'f', dicom->bytes = 4;
        return true;
    case gdcm::PixelFormat::FLOAT64:
        dicom->kind = 'f', dicom->bytes = 8;
        return true;
    default:
        return false;
    }
}

static gdcm::Rescaler make_rescaler(const std::vector<double> &scale, const gdcm::PixelFormat &format) {
    gdcm::Rescaler rescaler;
    rescaler.SetIntercept(scale[0]);
    rescaler.SetSlope(scale[1]);
    rescaler.SetPixelFormat(format);
    return rescaler;
}

static void copy_series(const gdcm::DataSet &set, loom_dicom *dicom) {
    const gdcm::Tag tag(0x0020, 0x000e);
    if (!set.FindDataElement(tag)) return;
    const gdcm::ByteValue *value = set.GetDataElement(tag).GetByteValue();
    if (!value) return;
    std::string text(value->GetPointer(), value->GetLength());
    size_t length = 0;
    for (char c : text)
        if (((c >= '0' && c <= '9') || c == '.') && length + 1 < sizeof dicom->series) dicom->series[length++] = c;
}

static loom_status describe_geometry(const gdcm::File &file, loom_dicom *dicom) {
    std::vector<double> spacing = gdcm::ImageHelper::GetSpacingValue(file);
    std::vector<double> origin = gdcm::ImageHelper::GetOriginValue(file);
    std::vector<double> cosines = gdcm::ImageHelper::GetDirectionCosinesValue(file);
    for (size_t i = 0; i < 3; i++) {
        dicom->spacing[i] = i < spacing.size() ? spacing[i] : 1.0;
        dicom->origin[i] = i < origin.size() ? origin[i] : 0.0;
        dicom->row[i] = cosines.size() == 6 ? cosines[i] : (i == 0 ? 1.0 : 0.0);
        dicom->column[i] = cosines.size() == 6 ? cosines[3 + i] : (i == 1 ? 1.0 : 0.0);
    }
    return LOOM_OK;
}

static loom_status describe(const char *path, loom_dicom *dicom, loom_error *err) {
    gdcm::Reader reader;
    reader.SetFileName(path);
    if (!reader.ReadUpToTag(gdcm::Tag(0x7fe0, 0x0010))) return fail_damaged(path, "its data set cannot be read", err);
    const gdcm::File &file = reader.GetFile();
    const gdcm::PhotometricInterpretation colours = gdcm::ImageHelper::GetPhotometricInterpretationValue(file);
    const gdcm::PixelFormat format = gdcm::ImageHelper::GetPixelFormatValue(file);
    const std::vector<unsigned int> size = gdcm::ImageHelper::GetDimensionsValue(file);
    std::vector<double> scale = gdcm::ImageHelper::GetRescaleInterceptSlopeValue(file);
    bool grey = colours == gdcm::PhotometricInterpretation::MONOCHROME2 ||
                colours == gdcm::PhotometricInterpretation::MONOCHROME1;
    bool rgb = colours == gdcm::PhotometricInterpretation::RGB && format == gdcm::PixelFormat::UINT8;
    if (!grey && !rgb)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: holds no grey or RGB image (%.40s); convert it, e.g. with gdcmimg or dcm2niix", path,
                         gdcm::PhotometricInterpretation::GetPIString(colours));
    if (size.size() < 2 || scale.size() != 2 || format.GetSamplesPerPixel() != (rgb ? 3 : 1))
        return fail_damaged(path, "its header contradicts itself", err);
    if (rgb) scale = {0.0, 1.0};
    if (!name_type(make_rescaler(scale, format).ComputeInterceptSlopePixelType(), dicom))
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: has pixels of type %.20s, which is not read; convert it with dcm2niix", path,
                         format.GetScalarTypeAsString());
    dicom->components = rgb ? 3 : 1;
    for (size_t i = 0; i < 3; i++)
        dicom->size[i] = i < size.size() ? size[i] : 1;
    copy_series(file.GetDataSet(), dicom);
    return describe_geometry(file, dicom);
}

static loom_status decode(const char *path, const loom_dicom *dicom, char *pixels, size_t length, loom_error *err) {
    gdcm::ImageReader reader;
    reader.SetFileName(path);
    if (!reader.Read()) return fail_damaged(path, "its image cannot be read", err);
    /* MONOCHROME1 has white as 0: it is turned round, as ITK does. */
    gdcm::ImageChangePhotometricInterpretation change;
    bool inverted = reader.GetImage().GetPhotometricInterpretation() == gdcm::PhotometricInterpretation::MONOCHROME1;
    if (inverted) {
        change.SetInput(reader.GetImage());
        change.SetPhotometricInterpretation(gdcm::PhotometricInterpretation::MONOCHROME2);
        if (!change.Change()) return fail_damaged(path, "its grey values cannot be turned round", err);
    }
    const gdcm::Image &image = inverted ? change.GetOutput() : reader.GetImage();
    if (dicom->components > 1 && image.GetPlanarConfiguration() != 0)
        return loom_fail(err, LOOM_UNSUPPORTED,
                         "%s: has each colour in a plane of its own, which is not read; convert it with dcm2niix",
                         path);
    const unsigned int *size = image.GetDimensions();
    const gdcm::PixelFormat &format = image.GetPixelFormat();
    uint64_t count = 1;
    for (unsigned i = 0; i < image.GetNumberOfDimensions(); i++)
        count *= size[i];
    if (size[0] != dicom->size[0] || size[1] != dicom->size[1] ||
        count != dicom->size[0] * dicom->size[1] * dicom->size[2] || format.GetSamplesPerPixel() != dicom->components ||
        length != count * dicom->components * dicom->bytes)
        return fail_damaged(path, "its pixels are not those that its header describes", err);
    gdcm::Rescaler rescaler = make_rescaler({image.GetIntercept(), image.GetSlope()}, format);
    bool scaled = dicom->components == 1 && (image.GetIntercept() != 0.0 || image.GetSlope() != 1.0);
    loom_dicom now = *dicom;
    if (!name_type(scaled ? rescaler.ComputeInterceptSlopePixelType() : format.GetScalarType(), &now) ||
        now.kind != dicom->kind || now.bytes != dicom->bytes)
        return fail_damaged(path, "its rescaling is not that which its header describes", err);
    uint64_t stored = image.GetBufferLength();
    if (stored != count * format.GetPixelSize() || (!scaled && stored != length))
        return fail_damaged(path, "its pixels have an unexpected length", err);
    std::vector<char> buffer(scaled ? stored : 0);
    if (!image.GetBuffer(scaled ? buffer.data() : pixels))
        return fail_damaged(path, "its pixels cannot be decoded", err);
    if (scaled && !rescaler.Rescale(pixels, buffer.data(), stored))
        return fail_damaged(path, "it cannot be rescaled", err);
    return LOOM_OK;
}

static loom_status describe_safely(const char *path, loom_dicom *dicom, loom_error *err) {
    try {
        be_quiet();
        *dicom = loom_dicom();
        return describe(path, dicom, err);
    } catch (const std::bad_alloc &) {
        return loom_fail(err, LOOM_NO_MEMORY, "%s: no memory to read it", path);
    } catch (const std::exception &) {
        return fail_damaged(path, "GDCM gave up", err);
    } catch (...) {
        return fail_damaged(path, "GDCM gave up", err);
    }
}

static loom_status decode_safely(const char *path, const loom_dicom *dicom, void *pixels, size_t length,
                                 loom_error *err) {
    try {
        be_quiet();
        return decode(path, dicom, static_cast<char *>(pixels), length, err);
    } catch (const std::bad_alloc &) {
        return loom_fail(err, LOOM_NO_MEMORY, "%s: no memory to read it", path);
    } catch (const std::exception &) {
        return fail_damaged(path, "GDCM gave up", err);
    } catch (...) {
        return fail_damaged(path, "GDCM gave up", err);
    }
}

const loom_gdcm *loom_gdcm_functions(void) {
    static const loom_gdcm functions = {sizeof(loom_dicom), describe_safely, decode_safely};
    return &functions;
}
