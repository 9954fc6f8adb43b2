// Writes JSON: values on one line, members in the order in which they were set.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace resnet {

// A JSON value as text. Numbers are written with the fewest digits that read back equal; infinite and
// NaN values, which JSON does not have, as null. Strings must be UTF-8; other bytes become '?'.
//   Json().set("images", 10).set("names", Json::array().push("cat").push("dog")).str()
class Json {
 public:
  Json() : text_("{}") {}  // an object without members
  static Json array();
  static Json null();

  Json(bool value) : text_(value ? "true" : "false") {}
  Json(double value);
  Json(float value);
  Json(std::integral auto value) : text_(std::to_string(value)) {}
  Json(std::string_view value);
  Json(const std::string& value) : Json(std::string_view(value)) {}
  Json(const char* value) : Json(std::string_view(value)) {}

  Json& set(std::string_view key, const Json& value);  // adds a member to an object
  Json& push(const Json& value);                       // adds an element to an array

  const std::string& str() const { return text_; }

 private:
  void append(const std::string& item);
  std::string text_;
};

}  // namespace resnet
