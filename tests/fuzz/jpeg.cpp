// JPEG files: whole, turned, grey, and the part that a net needs.
#include "data/jpeg.h"

#include "fuzz/fuzz.h"
#include "resnet/base/error.h"
#include "resnet/data/transform.h"

RESNET_FUZZ_TARGET(jpeg) {
  using namespace resnet;
  Record record;
  record.key = "file";
  record.encoded = true;
  record.bytes.assign(input.begin(), input.end());
  if (!is_jpeg(record.bytes)) throw DataError("not a JPEG file");  // OpenCV's to decode

  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(10);
  rule.set_crop_size(8);
  std::vector<float> out(3 * 8 * 8);
  for (const bool grey : {false, true}) {
    rule.set_channel_order(grey ? Preprocessing::GRAY : Preprocessing::BGR);
    Transformer(rule).apply(record, 0, 0, out.data());
  }
  for (const Decoding& decoding : {Decoding{}, Decoding{Colour::colour, true}}) {
    const Record whole = Image(record, decoding, "source").decoded();
    fuzz::require(
        whole.shape.rank() == 3 && whole.shape.count() == static_cast<int64_t>(whole.bytes.size()),
        "a decoded image has as many pixels as its shape says");
  }
}
