// The images that callers give, as records of pixels.
#pragma once

#include "resnet/classifier/classifier.h"
#include "resnet/data/image.h"

namespace resnet {

// Decoded as `resnet predict` decodes files; the key is the image's path or name. Throws DataError, and
// ConfigError on pixels whose sizes make no sense.
Record record_of(const AnyImage& image, const Decoding& decoding);

}  // namespace resnet
