// NumPy's archives, .npz.
#include "resnet/exchange/npz.h"

#include "fuzz/fuzz.h"

RESNET_FUZZ_TARGET(npz) {
  using namespace resnet;
  for (const NamedTensor& tensor : parse_npz(input, "file").tensors) {
    fuzz::require(tensor.shape.count() == static_cast<int64_t>(tensor.data.size()),
                  "an array has as many values as its shape says");
  }
}
