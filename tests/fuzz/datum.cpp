// Records of an LMDB. Encoded images other than JPEG are OpenCV's to decode and left out.
#include "data/datum.h"
#include "data/jpeg.h"
#include "fuzz/fuzz.h"
#include "resnet/data/transform.h"

RESNET_FUZZ_TARGET(datum) {
  using namespace resnet;
  const Record record = parse_datum(input, "key", "source");
  if (record.encoded && !is_jpeg(record.bytes)) return;
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(6);
  rule.set_crop_size(5);
  std::vector<float> out;
  for (const bool grey : {false, true}) {
    rule.set_channel_order(grey ? Preprocessing::GRAY : Preprocessing::BGR);
    for (const bool scaled : {true, false}) {
      if (!scaled) rule.set_resize_rule(Preprocessing::AS_IS);
      const Transformer transformer(rule);
      Image image(record, transformer.decoding(), "source");
      const Shape shape = transformer.output_shape(image.shape());
      if (shape[0] > 16) continue;
      out.resize(static_cast<size_t>(shape.count()));
      transformer.apply(image, 0, 0, out.data());
    }
  }
}
