// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A draw is a pure function of (seed, position, use, index): no state, so any
// thread, device or resumed run gets the same numbers.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define RESNET_HOST_DEVICE __host__ __device__
#else
#define RESNET_HOST_DEVICE
#endif

namespace resnet {

// What a draw is for. Values are part of the file format of runs (resume): never renumber.
enum class Use : uint32_t {
  shuffle = 1,
  crop = 2,
  flip = 3,
  colour = 4,
  scale = 5,
  dropout = 6,
  filler = 7,
  shapes = 8,
  split = 9,
  dummy_data = 10,
  test = 99
};

struct Philox4 {
  uint32_t v[4];
};

// Ten rounds of Philox4x32 on counter `c` under key (k0, k1).
RESNET_HOST_DEVICE inline Philox4 philox4x32(Philox4 c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c.v[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c.v[2];
    c = Philox4{{static_cast<uint32_t>(p1 >> 32) ^ c.v[1] ^ k0, static_cast<uint32_t>(p1),
                 static_cast<uint32_t>(p0 >> 32) ^ c.v[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// Uniform in [0, 1) with 24 bits.
RESNET_HOST_DEVICE inline float to_unit_float(uint32_t bits) {
  return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f);
}

// The stream of draws for one (seed, position, use). `position` is the record's place in the endless
// training stream (or a weight's index for fillers, ...). Copyable; draws are consumed in order.
class Random {
 public:
  RESNET_HOST_DEVICE Random(uint64_t seed, uint64_t position, Use use, uint32_t sub = 0)
      : seed_(seed), position_(position), use_(static_cast<uint32_t>(use) | (sub << 8)) {}

  RESNET_HOST_DEVICE uint32_t bits() {
    if (left_ == 0) {
      // The block index occupies counter word 0; use/sub word 1; the position words 2 and 3.
      block_ = philox4x32(Philox4{{next_++, use_, static_cast<uint32_t>(position_),
                                   static_cast<uint32_t>(position_ >> 32)}},
                          static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32));
      left_ = 4;
    }
    return block_.v[4 - left_--];
  }
  // Uniform in [0, 1).
  RESNET_HOST_DEVICE float uniform() { return to_unit_float(bits()); }
  // Uniform integer in [0, n), n >= 1 and n < 2^32 (multiply-shift; bias below n / 2^32).
  RESNET_HOST_DEVICE uint32_t below(uint32_t n) {
    return static_cast<uint32_t>((uint64_t{bits()} * n) >> 32);
  }
  // Standard normal by Box-Muller in double (two draws a value).
  double normal() {
    const double u1 = (bits() + 1.0) / 4294967296.0;  // (0, 1]
    const double u2 = bits() / 4294967296.0;
    return std::sqrt(-2.0 * std::log(u1)) * std::cos(6.283185307179586477 * u2);
  }

 private:
  uint64_t seed_, position_;
  uint32_t use_;
  uint32_t next_ = 0;
  int left_ = 0;
  Philox4 block_{};
};

}  // namespace resnet
