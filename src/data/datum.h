// Caffe's message for one image with its label.
#pragma once

#include <string>
#include <string_view>

#include "resnet/data/source.h"

namespace resnet {

// The record of a Datum message, with this key. Throws DataError naming `source` and the key when the bytes
// are no Datum, or one whose shape does not fit its pixels.
Record parse_datum(std::string_view bytes, std::string key, const std::string& source);

}  // namespace resnet
