// Files of the format safetensors.
#include "resnet/exchange/safetensors.h"

#include "fuzz/fuzz.h"

RESNET_FUZZ_TARGET(safetensors) {
  using namespace resnet;
  const TensorFile file = parse_safetensors(input, "file");
  for (const NamedTensor& tensor : file.tensors) {
    fuzz::require(tensor.shape.count() == static_cast<int64_t>(tensor.data.size()),
                  "an array has as many values as its shape says");
    fuzz::require(file.find(tensor.name) == &tensor, "an array is found by its name");
  }
}
