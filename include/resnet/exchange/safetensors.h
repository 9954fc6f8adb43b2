// Files of the format safetensors (https://github.com/huggingface/safetensors): the length of a JSON header,
// the header, which names arrays with type, shape and place, and the arrays.
#pragma once

#include <string>
#include <string_view>

#include "resnet/exchange/tensors.h"

namespace resnet {

// Reads arrays of type F64, F32, F16, BF16 and I64, each as float. Throws DataError, which begins with
// `path`, unless the header is at most 100 MB of valid JSON without repeated or unknown names, and the
// arrays fill the rest of the file in any order, without gaps or overlaps.
TensorFile parse_safetensors(std::string_view bytes, const std::string& path);
TensorFile read_safetensors(const std::string& path);

// Writes the arrays as F32, in their order. Names and texts are UTF-8. The file appears when it is complete.
// Throws DataError when it cannot be written.
void write_safetensors(const std::string& path, const TensorFile& file);

}  // namespace resnet
