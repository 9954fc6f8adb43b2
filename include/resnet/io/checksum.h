// CRC-64/XZ (ECMA-182 polynomial, reflected): detects every burst of up to 64 bits, and any other
// damage but for one case in 2^64.
#pragma once

#include <cstdint>
#include <string_view>

namespace resnet {

class Checksum {
 public:
  void update(std::string_view bytes);
  uint64_t value() const { return ~state_; }

 private:
  uint64_t state_ = ~uint64_t{0};
};

uint64_t checksum_of(std::string_view bytes);

}  // namespace resnet
