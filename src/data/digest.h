// FNV-1a, 64 bits: a quick digest of data sets (no protection against intent).
#pragma once

#include <cstdint>
#include <span>

namespace resnet {

class Digest {
 public:
  Digest() = default;
  explicit Digest(uint64_t value) : value_(value) {}  // goes on where another one stopped
  void add(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) value_ = (value_ ^ byte) * 0x100000001B3u;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xCBF29CE484222325u;
};

}  // namespace resnet
