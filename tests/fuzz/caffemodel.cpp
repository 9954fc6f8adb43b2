// Weight files, the rule for images that they hold, and one-file models.
#include "resnet/io/caffemodel.h"
#include "fuzz/fuzz.h"
#include "resnet/base/error.h"
#include "resnet/data/image.h"
#include "resnet/data/transform.h"
#include "resnet/exchange/model_file.h"

namespace {

// An image becomes input by a rule from a file, if the input is of a usual size.
void prepare(const resnet::Preprocessing& rule) {
  const resnet::Transformer transformer(rule);
  resnet::Record record;
  record.key = "image";
  record.shape = {3, 9, 12};
  for (int i = 0; i < 3 * 9 * 12; ++i) record.bytes.push_back(static_cast<uint8_t>(i));
  decode(record, transformer.decoding(), record.key);
  const resnet::Shape shape = transformer.output_shape(record.shape);
  if (shape[1] > 256 || shape[2] > 256) return;
  std::vector<float> input(static_cast<size_t>(shape.count()));
  transformer.apply(record, 0, 0, input.data());
}

}  // namespace

RESNET_FUZZ_TARGET(caffemodel) {
  using namespace resnet;
  try {
    const ModelFile file = parse_model_file(input, "file");
    fuzz::require(file.image.rank() == 3, "a model says how large its images are");
    if (file.has_preprocessing) prepare(file.preprocessing);
  } catch (const Error& e) {
    fuzz::require(e.code() != ExitCode::internal, "no internal error");
  }
  const WeightSet weights = parse_caffemodel(input, "file");
  for (const NamedBlob& blob : weights.blobs) {
    fuzz::require(blob.shape.count() == static_cast<int64_t>(blob.data.size()),
                  "a blob has as many values as its shape says");
    shape_fits(blob, {1, 2, 3});
  }
  if (weights.preprocessing) prepare(*weights.preprocessing);
}
