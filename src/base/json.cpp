#include "resnet/base/json.h"

#include <charconv>
#include <cmath>
#include <cstddef>

namespace resnet {
namespace {

// Bytes of the UTF-8 sequence at the start of `text`; 0 if there is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xC2 ? 0
                        : lead < 0xE0 ? 2
                        : lead < 0xF0 ? 3
                        : lead < 0xF5 ? 4
                                      : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

void append_control(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += '?';
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20) {
      append_control(out, c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out += '"';
}

template <class Float>
std::string number(Float value) {
  if (!std::isfinite(value)) return "null";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), value).ptr};
}

}  // namespace

Json Json::array() {
  Json json;
  json.text_ = "[]";
  return json;
}

Json Json::null() {
  Json json;
  json.text_ = "null";
  return json;
}

Json::Json(double value) : text_(number(value)) {}
Json::Json(float value) : text_(number(value)) {}

Json::Json(std::string_view value) : text_(quoted(value)) {}

Json& Json::set(std::string_view key, const Json& value) {
  append(quoted(key) + ":" + value.text_);
  return *this;
}

Json& Json::push(const Json& value) {
  append(value.text_);
  return *this;
}

void Json::append(const std::string& item) {
  const bool first = text_.size() == 2;
  text_.insert(text_.size() - 1, first ? item : "," + item);
}

}  // namespace resnet
