#include "exchange/onnx_metadata.h"

#include <charconv>

namespace resnet::onnx {
namespace {

// The shortest text that reads as the same number.
std::string text_of(float value) {
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

template <class Values, class Text>
std::string joined(const Values& values, const char* separator, const Text& text) {
  std::string result;
  bool first = true;
  for (const auto& value : values) {
    if (!first) result += separator;
    result += text(value);
    first = false;
  }
  return result;
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= have ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::map<std::string, std::string> preprocessing_metadata(const Preprocessing& p) {
  std::map<std::string, std::string> out;
  const auto set = [&](const std::string& key, const std::string& value) {
    out["preprocessing." + key] = value;
  };
  set("channel_order", Preprocessing::ChannelOrder_Name(p.channel_order()));
  set("resize_rule", Preprocessing::ResizeRule_Name(p.resize_rule()));
  if (p.resize_rule() != Preprocessing::AS_IS) set("resize_size", std::to_string(p.resize_size()));
  if (p.crop_size() > 0) set("crop_size", std::to_string(p.crop_size()));
  if (p.mean_value_size() > 0) set("mean_value", joined(p.mean_value(), ",", text_of));
  if (p.has_mean()) {
    const auto number = [](int64_t dim) { return std::to_string(dim); };
    set("mean_image_shape", joined(p.mean().shape().dim(), ",", number));
    const auto& data = p.mean().data();
    set("mean_image", base64({reinterpret_cast<const char*>(data.data()),
                              static_cast<size_t>(data.size()) * sizeof(float)}));
  }
  set("scale", text_of(p.scale()));
  set("exif_orientation", p.exif_orientation() ? "true" : "false");
  if (p.class_name_size() > 0) {
    out["class_names"] = joined(p.class_name(), "\n", [](const std::string& s) { return s; });
  }
  return out;
}

}  // namespace resnet::onnx
