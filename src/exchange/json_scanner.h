// Reads JSON of a known form, token by token and strictly (RFC 8259). For headers of files that anybody may
// have made: there is no recursion, and no value is built that was not asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace resnet {

class JsonScanner {
 public:
  // `where` begins the text of every DataError.
  JsonScanner(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  // All skip blanks first.
  bool accept(char c);   // whether c comes next, which is taken
  void expect(char c);   // throws unless it does
  std::string string();  // valid UTF-8, escapes resolved
  int64_t integer();     // from 0 to 2^63 - 1, without fraction and exponent
  void expect_end();     // nothing but blanks is left

  [[noreturn]] void fail(const std::string& fact) const;  // names the byte

 private:
  void skip_blanks();
  uint32_t hex4();
  uint32_t escaped_character();
  void take_utf8(std::string* out);

  std::string_view text_;
  std::string where_;
  size_t at_ = 0;
};

}  // namespace resnet
