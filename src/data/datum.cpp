#include "data/datum.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace resnet {
namespace {

// Nonsense becomes the empty shape, which check() refuses.
Shape shape_of(const Datum& datum) {
  const auto sane = [](int32_t dim) { return dim > 0 && dim < (1 << 20); };
  if (!sane(datum.channels()) || !sane(datum.height()) || !sane(datum.width())) return {0, 0, 0};
  return {datum.channels(), datum.height(), datum.width()};
}

void check(const Record& record, const std::string& source) {
  const size_t values = std::max(record.bytes.size(), record.floats.size());
  if (record.encoded && record.bytes.empty()) {
    throw record_error(source, record.key, "the encoded image is empty");
  }
  if (!record.encoded && (values == 0 || static_cast<int64_t>(values) != record.shape.count())) {
    throw record_error(
        source, record.key,
        "has " + std::to_string(values) + " pixel values for shape " + record.shape.str());
  }
}

}  // namespace

Record parse_datum(std::string_view bytes, std::string key, const std::string& source) {
  Datum datum;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !datum.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw record_error(source, key, "damaged, or not an image (Datum) record");
  }
  Record record;
  record.key = std::move(key);
  record.label = datum.label();
  record.encoded = datum.encoded();
  record.bytes.assign(datum.data().begin(), datum.data().end());
  if (record.bytes.empty()) {  // else, as in Caffe, the bytes are the image
    record.floats.assign(datum.float_data().begin(), datum.float_data().end());
  }
  if (!record.encoded) record.shape = shape_of(datum);
  check(record, source);
  return record;
}

}  // namespace resnet
