// What the emulated cuda_runtime.h is made of: how threads of a block wait for each other.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cuda_emulation {

struct Stream;
struct Event;
struct Graph;

// Where a device function is called.
struct Position {
  const char* file;
  int line;
};

// Each of these suspends the calling thread of a kernel until all threads that have to take part do, and
// ends the process with a message where that never happens.

// All threads of the block, at the same position.
void wait_for_block(Position position);
// All lanes of the mask that have not ended. Gives the lanes for which `predicate` holds.
unsigned vote(Position position, unsigned mask, bool predicate);
// The bits that lane `source` of the warp gives; all set when it takes no part.
uint64_t exchange_bits(Position position, unsigned mask, uint64_t bits, int source);

// Number of the calling thread within its warp.
int lane();

template <class T>
T exchange(Position position, unsigned mask, T value, int source) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange_bits(position, mask, bits, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cuda_emulation
