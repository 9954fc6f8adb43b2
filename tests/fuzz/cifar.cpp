// CIFAR-10's binary files.
#include "data/sources.h"
#include "fuzz/fuzz.h"

RESNET_FUZZ_TARGET(cifar) {
  using namespace resnet;
  const fuzz::MemoryFile file(input);
  const SourcePtr source = open_cifar(file.path(), TEST);
  for (int64_t i = 0; i < source->size(); ++i) {
    const Record record = source->read(i);
    fuzz::require(record.shape.count() == static_cast<int64_t>(record.bytes.size()) &&
                      !source->key(i).empty(),
                  "a record has as many pixels as its shape says, and a key");
  }
}
