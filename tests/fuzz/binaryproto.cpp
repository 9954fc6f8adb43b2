// Mean files, alone and as a part of the rule for images.
#include "fuzz/fuzz.h"
#include "resnet/data/transform.h"
#include "resnet/io/mean_file.h"

RESNET_FUZZ_TARGET(binaryproto) {
  using namespace resnet;
  Preprocessing rule;
  if (rule.mutable_mean()->ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    try {
      const Transformer transformer(rule);
      for (const Shape& image : {Shape{3, 8, 8}, Shape{1, 8, 8}}) transformer.output_shape(image);
    } catch (const Error& e) {
      fuzz::require(e.code() != ExitCode::internal, "no internal error");
    }
  }
  const MeanImage mean = parse_mean(input, "file");
  fuzz::require(
      mean.shape.rank() == 3 && mean.shape.count() == static_cast<int64_t>(mean.values.size()),
      "a mean image has as many values as its shape says");
}
