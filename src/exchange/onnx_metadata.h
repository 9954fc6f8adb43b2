// What a model says about the images that it takes. Internal to src/exchange.
#pragma once

#include <map>
#include <string>

#include "resnet/proto/resnet.pb.h"

namespace resnet::onnx {

// By key, as docs/formats.md lists them.
std::map<std::string, std::string> preprocessing_metadata(const Preprocessing& preprocessing);

// RFC 4648, with padding.
std::string base64(std::string_view bytes);

}  // namespace resnet::onnx
