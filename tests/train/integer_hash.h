// Numbers that tests and scripts in Python compute alike; tools/dev/parity_torch.py defines them.
#pragma once

#include <cstdint>

namespace resnet::testing {

// The finaliser of MurmurHash3.
inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85EBCA6Bu;
  x ^= x >> 13;
  x *= 0xC2B2AE35u;
  return x ^ (x >> 16);
}

inline uint32_t draw(uint32_t stream, uint32_t index) { return mix(mix(stream + 1) + index); }

// In [-1, 1).
inline double unit(uint32_t stream, uint32_t index) {
  return (draw(stream, index) >> 8) / double{1 << 23} - 1;
}

}  // namespace resnet::testing
