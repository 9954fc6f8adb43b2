// The two 16-bit floating-point types as bits in memory; half.h converts them.
#pragma once

#include <cstdint>

namespace resnet {

// NOLINTBEGIN(readability-identifier-naming): as DType names them
struct bf16 {  // bfloat16: 8 bits of exponent, 7 of mantissa
  uint16_t bits;
};
struct f16 {  // IEEE 754 binary16: 5 and 10
  uint16_t bits;
};
// NOLINTEND(readability-identifier-naming)

}  // namespace resnet
