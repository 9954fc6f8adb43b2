// Pixels of one record: decoding, reading image files, resizing.
#pragma once

#include <string>

#include "resnet/data/source.h"

namespace resnet {

enum class Colour : uint8_t { as_stored, colour, grey };

// Replaces an encoded record's bytes by pixels (B,G,R planes, or one grey plane). Pixels that are
// there already are left alone unless `colour` asks for another number of channels. A camera's
// orientation mark is ignored. Throws DataError naming `source` and the key.
void decode(Record& record, Colour colour, const std::string& source);

// An image file (JPEG, PNG, ..) as a decoded record whose key is the path. Throws DataError.
Record read_image(const std::string& path, Colour colour = Colour::colour);

// Scales the pixels of a decoded 8-bit record: area averaging when it shrinks, bilinear when it
// grows.
void resize(Record& record, int64_t height, int64_t width);

// Applies a net's resize rule (AS_IS, SHORT_SIDE, EXACT).
void resize(Record& record, const Preprocessing& rule);

}  // namespace resnet
