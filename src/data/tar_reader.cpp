#include "data/tar_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kMaxExtension = uint64_t{1} << 20;  // bytes of a long name or of pax records

uint64_t padded(uint64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

// The text of a field, which ends at a zero or where the field does.
std::string_view text(std::string_view field) { return field.substr(0, field.find('\0')); }

}  // namespace

// One block, as POSIX lays it out.
struct TarReader::Header {
  std::array<uint8_t, kBlock> bytes;

  std::string_view field(size_t offset, size_t size) const {
    return {reinterpret_cast<const char*>(bytes.data()) + offset, size};
  }
  char type() const { return static_cast<char>(bytes[156]); }
  std::string_view size() const { return field(124, 12); }
  std::string_view checksum() const { return field(148, 8); }

  std::string name() const {
    const std::string_view name = text(field(0, 100)), prefix = text(field(345, 155));
    // GNU's own format has other fields where ustar has the prefix.
    const bool has_prefix = field(257, 6) == std::string_view("ustar\0", 6) && !prefix.empty();
    return has_prefix ? std::string(prefix) + '/' + std::string(name) : std::string(name);
  }

  bool is_zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
  }

  // The sum of all bytes, those of the checksum counted as blanks.
  uint64_t sum() const {
    uint64_t sum = 8 * ' ';
    for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? 0 : bytes[i];
    return sum;
  }
};

struct TarReader::Extension {
  std::optional<std::string> name;
  std::optional<uint64_t> size;
};

TarReader::TarReader(std::string name, Read read, uint64_t begin, uint64_t end)
    : name_(std::move(name)), read_(std::move(read)), at_(begin), end_(end) {}

std::optional<TarEntry> TarReader::next() {
  Extension extension;
  while (true) {
    const Header header = read_header();
    if (header.is_zero()) return std::nullopt;
    if (header.sum() != number(header.checksum())) fail("damaged, or not a tar file");
    at_ += kBlock;
    switch (header.type()) {
      case 'L':
        extension.name = std::string(text(read_content(header)));
        break;
      case 'x':
        read_pax(read_content(header), &extension);
        break;
      case 'K':  // a long target of a link
      case 'g':  // pax records about all entries: owner, comment
        read_content(header);
        break;
      default: {
        const char type = header.type();
        TarEntry entry{extension.name.value_or(header.name()), TarEntry::Kind::other, at_,
                       extension.size.value_or(number(header.size()))};
        if (type == '0' || type == '\0' || type == '7') entry.kind = TarEntry::Kind::file;
        if (type == '1' || type == '2') entry.kind = TarEntry::Kind::link;
        if (type == 'S') fail("'" + entry.name + "' is a sparse file; pack it without --sparse");
        if (entry.kind != TarEntry::Kind::file) entry.size = 0;
        if (entry.size > end_ - at_) fail("truncated inside '" + entry.name + "'");
        at_ += std::min(padded(entry.size), end_ - at_);
        return entry;
      }
    }
  }
}

TarReader::Header TarReader::read_header() {
  Header header;
  if (end_ - at_ < kBlock || read_(at_, header.bytes) != kBlock) {
    fail("truncated: the end mark is missing");
  }
  return header;
}

std::string TarReader::read_content(const Header& header) {
  const uint64_t size = number(header.size());
  if (size > kMaxExtension) fail("damaged: a name of " + std::to_string(size) + " bytes");
  std::string content(size, '\0');
  const std::span bytes(reinterpret_cast<uint8_t*>(content.data()), content.size());
  if (padded(size) > end_ - at_ || read_(at_, bytes) != size) fail("truncated");
  at_ += padded(size);
  return content;
}

// Records "LENGTH KEY=VALUE\n", where LENGTH counts all of it.
void TarReader::read_pax(const std::string& records, Extension* extension) const {
  for (std::string_view rest = records; !rest.empty();) {
    size_t length = 0;
    const char* last = rest.data() + rest.size();
    const auto [after, error] = std::from_chars(rest.data(), last, length);
    const auto digits = static_cast<size_t>(after - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 2) fail("damaged");
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    const std::string_view key = record.substr(0, record.find('='));
    const std::string_view value = record.substr(std::min(key.size() + 1, record.size()));
    if (key == "path") extension->name = std::string(value);
    if (key == "size") {
      uint64_t size = 0;
      const char* end = value.data() + value.size();
      const auto [stop, problem] = std::from_chars(value.data(), end, size);
      if (problem != std::errc() || stop != end) fail("damaged");
      extension->size = size;
    }
    if (key.starts_with("GNU.sparse")) fail("holds a sparse file; pack it without --sparse");
    rest.remove_prefix(length);
  }
}

// Octal digits, or, for large values, GNU's binary form with the highest bit set.
uint64_t TarReader::number(std::string_view field) const {
  uint64_t value = 0;
  if (static_cast<uint8_t>(field[0]) == 0x80) {
    for (const char byte : field.substr(1)) {
      if (value >> 56 != 0) fail("damaged: a size that cannot be");
      value = value << 8 | static_cast<uint8_t>(byte);
    }
    return value;
  }
  const size_t begin = std::min(field.find_first_not_of(' '), field.size());
  for (const char digit : field.substr(begin)) {
    if (digit == ' ' || digit == '\0') break;
    if (digit < '0' || digit > '7') fail("damaged, or not a tar file");
    value = value << 3 | static_cast<uint64_t>(digit - '0');
  }
  return value;
}

void TarReader::fail(const std::string& fact) const {
  throw DataError(name_ + ": byte " + std::to_string(at_) + ": " + fact);
}

std::string compression_of(std::span<const uint8_t> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (head.starts_with("\x1f\x8b")) return "gzip";
  if (head.starts_with("BZh")) return "bzip2";
  if (head.starts_with("\xfd\x37zXZ")) return "xz";
  if (head.starts_with("\x28\xb5\x2f\xfd")) return "zstd";
  return {};
}

}  // namespace resnet
