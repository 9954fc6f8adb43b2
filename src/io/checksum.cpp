#include "resnet/io/checksum.h"

#include <array>
#include <cstddef>

namespace resnet {
namespace {

constexpr uint64_t kPolynomial = 0xC96C5795D7870F42;  // reflected

using Tables = std::array<std::array<uint64_t, 256>, 8>;

// tables[k][b]: the remainder of byte b followed by k zero bytes.
constexpr Tables make_tables() {
  Tables tables{};
  for (uint64_t b = 0; b < 256; ++b) {
    uint64_t r = b;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) != 0 ? kPolynomial : 0);
    tables[0][b] = r;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) {
      const uint64_t r = tables[k - 1][b];
      tables[k][b] = (r >> 8) ^ tables[0][r & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

void Checksum::update(std::string_view bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t n = bytes.size();
  uint64_t r = state_;
  for (; n >= 8; p += 8, n -= 8) {  // eight bytes a step
    for (size_t i = 0; i < 8; ++i) r ^= uint64_t{p[i]} << (8 * i);
    uint64_t next = 0;
    for (size_t i = 0; i < 8; ++i) next ^= kTables[7 - i][(r >> (8 * i)) & 0xFF];
    r = next;
  }
  for (; n > 0; ++p, --n) r = (r >> 8) ^ kTables[0][(r ^ *p) & 0xFF];
  state_ = r;
}

uint64_t checksum_of(std::string_view bytes) {
  Checksum c;
  c.update(bytes);
  return c.value();
}

}  // namespace resnet
