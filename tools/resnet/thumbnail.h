// Small pictures for pages.
#pragma once

#include <string>

#include "resnet/data/source.h"

namespace resnet::cli {

// A record's image, at most 128 pixels wide and high, as a data URI (PNG if the image is that small
// already, else JPEG); empty for records that are no 8-bit images. Throws DataError on a damaged one.
std::string thumbnail_uri(Record record, const std::string& source);

}  // namespace resnet::cli
