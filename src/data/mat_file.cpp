#include "data/mat_file.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "data/inflate.h"
#include "resnet/base/error.h"

static_assert(std::endian::native == std::endian::little);

namespace resnet {
namespace {

constexpr size_t kHeaderBytes = 128;
constexpr int kMaxDepth = 16;  // of arrays inside structures

// Types of elements ("mi") and classes of arrays ("mx") in MATLAB's description of the format.
enum Type : uint32_t {
  kInt8 = 1,
  kUint8 = 2,
  kInt16 = 3,
  kUint16 = 4,
  kInt32 = 5,
  kUint32 = 6,
  kSingle = 7,
  kDouble = 9,
  kInt64 = 12,
  kUint64 = 13,
  kMatrix = 14,
  kCompressed = 15,
  kUtf8 = 16
};
enum ArrayClass : uint8_t { kStruct = 2, kChar = 4, kFirstNumeric = 6, kLastNumeric = 15 };

struct Element {
  uint32_t type;
  std::string_view data;
};

struct NamedArray {
  std::string name;
  MatArray array;
};

class MatParser {
 public:
  explicit MatParser(std::string name) : name_(std::move(name)) {}

  // All top-level variables.
  void parse(std::string_view bytes, std::map<std::string, MatArray>* variables) const {
    while (!bytes.empty()) {
      const Element element = next(&bytes);
      if (element.type == kCompressed) {
        const std::string inner = inflated(name_, element.data);
        std::string_view rest = inner;
        add(next(&rest), variables);
      } else {
        add(element, variables);
      }
    }
  }

 private:
  [[noreturn]] void fail() const { throw DataError(name_ + ": damaged MATLAB file"); }

  template <class T>
  T value(std::string_view bytes, size_t at) const {
    if (bytes.size() < sizeof(T) || at > bytes.size() - sizeof(T)) fail();
    T out;
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
  }

  // Takes an element off the front: type, size and data, padded to 8 bytes; or up to 4 bytes of
  // data with both in one word.
  Element next(std::string_view* bytes) const {
    const auto word = value<uint32_t>(*bytes, 0);
    const bool is_small = word >> 16 != 0;
    const size_t begin = is_small ? 4 : 8;
    const size_t size = is_small ? word >> 16 : value<uint32_t>(*bytes, 4);
    if (bytes->size() < begin || size > bytes->size() - begin || (is_small && size > 4)) fail();
    const Element element{is_small ? word & 0xFFFF : word, bytes->substr(begin, size)};
    const size_t padded = is_small                      ? 8
                          : element.type == kCompressed ? begin + size
                                                        : begin + (size + 7) / 8 * 8;
    bytes->remove_prefix(std::min(padded, bytes->size()));
    return element;
  }

  void add(const Element& element, std::map<std::string, MatArray>* variables) const {
    NamedArray variable = parse_array(element, 0);
    (*variables)[variable.name] = std::move(variable.array);
  }

  NamedArray parse_array(const Element& element, int depth) const {
    NamedArray out;
    if (element.type != kMatrix || element.data.empty()) return out;
    if (depth > kMaxDepth) fail();
    std::string_view rest = element.data;
    const auto array_class = value<uint8_t>(next(&rest).data, 0);
    const size_t count = element_count(next(&rest).data);
    out.name = next(&rest).data;
    if (array_class == kStruct) {
      parse_fields(rest, count, depth, &out.array);
    } else if (array_class == kChar) {
      out.array.text = parse_text(next(&rest));
    } else if (array_class >= kFirstNumeric && array_class <= kLastNumeric) {
      out.array.numbers = parse_numbers(next(&rest));
    }
    return out;
  }

  size_t element_count(std::string_view dimensions) const {
    uint64_t count = 1;
    for (size_t at = 0; at < dimensions.size(); at += 4) {
      count *= value<uint32_t>(dimensions, at);
      if (count > UINT32_MAX) fail();
    }
    return count;
  }

  // Length of a field's name, the names, and then every field of every structure.
  void parse_fields(std::string_view rest, size_t count, int depth, MatArray* out) const {
    const size_t length = value<uint32_t>(next(&rest).data, 0);
    const std::string_view list = next(&rest).data;
    if (length == 0) fail();
    std::vector<std::vector<MatArray>*> fields;
    for (size_t at = 0; at + length <= list.size(); at += length) {
      const std::string_view name = list.substr(at, length);
      fields.push_back(&out->fields[std::string(name.substr(0, name.find('\0')))]);
    }
    if (fields.empty()) return;
    for (size_t i = 0; i < count; ++i) {
      for (auto* field : fields) field->push_back(parse_array(next(&rest), depth + 1).array);
    }
  }

  std::string parse_text(const Element& element) const {
    if (element.type != kUint16) return std::string(element.data);
    std::string text;
    for (size_t at = 0; at + 2 <= element.data.size(); at += 2) {
      append_utf8(value<uint16_t>(element.data, at), &text);
    }
    return text;
  }

  static void append_utf8(uint16_t code, std::string* text) {
    if (code < 0x80) {
      *text += static_cast<char>(code);
    } else if (code < 0x800) {
      *text += static_cast<char>(0xC0 | code >> 6);
      *text += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      *text += static_cast<char>(0xE0 | code >> 12);
      *text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      *text += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  // MATLAB stores numbers in the smallest type that holds them.
  std::vector<double> parse_numbers(const Element& element) const {
    switch (element.type) {
      case kInt8:
        return numbers<int8_t>(element.data);
      case kUint8:
        return numbers<uint8_t>(element.data);
      case kInt16:
        return numbers<int16_t>(element.data);
      case kUint16:
        return numbers<uint16_t>(element.data);
      case kInt32:
        return numbers<int32_t>(element.data);
      case kUint32:
        return numbers<uint32_t>(element.data);
      case kSingle:
        return numbers<float>(element.data);
      case kDouble:
        return numbers<double>(element.data);
      case kInt64:
        return numbers<int64_t>(element.data);
      case kUint64:
        return numbers<uint64_t>(element.data);
      default:
        fail();
    }
  }

  template <class T>
  std::vector<double> numbers(std::string_view data) const {
    std::vector<double> out;
    for (size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
      out.push_back(static_cast<double>(value<T>(data, at)));
    }
    return out;
  }

  std::string name_;
};

}  // namespace

std::map<std::string, MatArray> parse_mat(const std::string& name, std::string_view bytes) {
  // Version 0x0100 in the file's byte order, and the letters "MI" as one number.
  if (bytes.size() < kHeaderBytes || bytes.substr(124, 4) != std::string_view("\0\1IM", 4)) {
    throw DataError(name + ": not a MATLAB file of version 5");
  }
  std::map<std::string, MatArray> variables;
  MatParser(name).parse(bytes.substr(kHeaderBytes), &variables);
  return variables;
}

}  // namespace resnet
