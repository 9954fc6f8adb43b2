#include "exchange/json_scanner.h"

#include <charconv>

#include "resnet/base/error.h"

namespace resnet {
namespace {

void append_utf8(uint32_t code, std::string* out) {
  const auto byte = [&](uint32_t bits) { out->push_back(static_cast<char>(bits)); };
  const auto tail = [&](uint32_t shift) { byte(0x80u | ((code >> shift) & 0x3Fu)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0u | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    byte(0xE0u | code >> 12);
    tail(6);
    tail(0);
  } else {
    byte(0xF0u | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

void JsonScanner::fail(const std::string& fact) const {
  throw DataError(where_ + ": the header is no valid one at byte " + std::to_string(at_) + ": " +
                  fact);
}

void JsonScanner::skip_blanks() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
    ++at_;
  }
}

bool JsonScanner::accept(char c) {
  skip_blanks();
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

void JsonScanner::expect(char c) {
  if (!accept(c)) fail(std::string("'") + c + "' is missing");
}

void JsonScanner::expect_end() {
  skip_blanks();
  if (at_ != text_.size()) fail("there is more than one value");
}

int64_t JsonScanner::integer() {
  skip_blanks();
  int64_t value = 0;
  const char* const begin = text_.data() + at_;
  const char* const last = text_.data() + text_.size();
  const auto [end, error] = std::from_chars(begin, last, value);
  const bool leading_zero = end - begin > 1 && *begin == '0';
  if (error != std::errc() || value < 0 || *begin == '-' || leading_zero ||
      (end != last && (*end == '.' || *end == 'e' || *end == 'E'))) {
    fail("no whole number from 0 to 2^63-1");
  }
  at_ += static_cast<size_t>(end - begin);
  return value;
}

uint32_t JsonScanner::hex4() {
  uint32_t value = 0;
  if (text_.size() - at_ < 4) fail("an incomplete escape");
  const char* const begin = text_.data() + at_;
  const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
  if (error != std::errc() || end != begin + 4) fail("an invalid escape");
  at_ += 4;
  return value;
}

// Behind "\u": one or, with surrogates, two groups of digits.
uint32_t JsonScanner::escaped_character() {
  const uint32_t first = hex4();
  if (first < 0xD800 || first >= 0xE000) return first;
  if (first >= 0xDC00 || !text_.substr(at_).starts_with("\\u")) fail("half a surrogate pair");
  at_ += 2;
  const uint32_t second = hex4();
  if (second < 0xDC00 || second >= 0xE000) fail("half a surrogate pair");
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

// One character as it stands, checked against overlong forms and surrogates.
void JsonScanner::take_utf8(std::string* out) {
  const auto byte = [&](size_t i) {
    return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0u;
  };
  const unsigned lead = byte(0);
  if (lead < 0x20) fail("a control character in a string");
  size_t length = 1;
  unsigned low = 0x80, high = 0xBF;  // of the second byte
  if (lead >= 0x80) {
    length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4) fail("not UTF-8");
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    for (size_t i = 1; i < length; ++i) {
      if (byte(i) < low || byte(i) > high) fail("not UTF-8");
      low = 0x80;
      high = 0xBF;
    }
  }
  out->append(text_.substr(at_, length));
  at_ += length;
}

std::string JsonScanner::string() {
  expect('"');
  std::string out;
  while (true) {
    if (at_ == text_.size()) fail("a string without end");
    if (text_[at_] == '"') break;
    if (text_[at_] != '\\') {
      take_utf8(&out);
      continue;
    }
    ++at_;
    if (at_ == text_.size()) fail("an incomplete escape");
    const char escape = text_[at_++];
    constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const size_t index = kEscapes.find(escape);
    if (index != std::string_view::npos) {
      out += kMeanings[index];
    } else if (escape == 'u') {
      append_utf8(escaped_character(), &out);
    } else {
      fail("an invalid escape");
    }
  }
  ++at_;
  return out;
}

}  // namespace resnet
