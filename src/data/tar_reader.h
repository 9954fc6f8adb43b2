// The headers of a tar file: POSIX (ustar, pax) and GNU.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace resnet {

struct TarEntry {
  enum class Kind : uint8_t { file, link, other };
  std::string name;
  Kind kind;
  uint64_t offset, size;  // bytes of its content
};

// Walks the entries of a tar file, which may be a part of another file or lie in memory. Everything
// that cannot be read correctly is a DataError that names the place: damage, a missing end, sparse
// files.
class TarReader {
 public:
  // Reads at an offset; returns fewer bytes only at the end.
  using Read = std::function<size_t(uint64_t, std::span<uint8_t>)>;

  // The tar file is what lies at [begin, end); `name` is for messages.
  TarReader(std::string name, Read read, uint64_t begin, uint64_t end);

  std::optional<TarEntry> next();  // nothing at the end

 private:
  struct Header;
  struct Extension;  // what entries say about the one that follows

  Header read_header();
  std::string read_content(const Header& header);
  void read_pax(const std::string& records, Extension* extension) const;
  uint64_t number(std::string_view field) const;
  [[noreturn]] void fail(const std::string& fact) const;

  std::string name_;
  Read read_;
  uint64_t at_, end_;
};

// "" for a file that may be a tar file, else which kind of compressed file these first bytes begin.
std::string compression_of(std::span<const uint8_t> bytes);

}  // namespace resnet
