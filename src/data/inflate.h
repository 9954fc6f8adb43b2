// Decompression of zlib and gzip data in memory.
#pragma once

#include <string>
#include <string_view>

namespace resnet {

// Throws DataError beginning with `name` for damaged data, and for more than 256 MiB of output.
std::string inflated(const std::string& name, std::string_view bytes);

}  // namespace resnet
