// A data race inside parallel_for, put here to prove that the tsan preset would catch one: the test passes
// when ThreadSanitizer reports it.
#include <cstdio>

#include "resnet/base/parallel.h"

int main() {
  resnet::set_num_threads(2);
  int shared = 0;
  resnet::parallel_for(2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int repeat = 0; repeat < 1000; ++repeat)
        ++shared;  // both threads, no lock: the planted race
    }
  });
  std::printf("%d\n", shared);
}
