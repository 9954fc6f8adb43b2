#include <bit>
#include <cstring>
#include <limits>

#include "resnet/base/error.h"
#include "resnet/base/half.h"
#include "resnet/io/caffemodel.h"

namespace resnet {
namespace {

static_assert(std::endian::native == std::endian::little);  // raw blobs are read as they lie

// How the raw values of NVIDIA's fork are stored.
struct RawForm {
  BlobProto::RawType type;
  size_t bytes;  // a value
};

RawForm raw_form(const BlobProto& blob, const std::string& where) {
  if (!blob.has_raw_data_type()) {
    throw DataError(where +
                    ": has raw values of a type that it does not state or that is not known");
  }
  switch (blob.raw_data_type()) {
    case BlobProto::DOUBLE:
      return {BlobProto::DOUBLE, sizeof(double)};
    case BlobProto::FLOAT:
      return {BlobProto::FLOAT, sizeof(float)};
    case BlobProto::FLOAT16:
      return {BlobProto::FLOAT16, sizeof(f16)};
    default:
      break;
  }
  throw DataError(where + ": has raw values of the type " +
                  BlobProto::RawType_Name(blob.raw_data_type()) +
                  ", but weights are DOUBLE, FLOAT or FLOAT16");
}

template <class T, class Convert>
std::vector<float> converted(const std::string& raw, Convert convert) {
  std::vector<float> values(raw.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    values[i] = convert(value);
  }
  return values;
}

std::vector<float> raw_values(const std::string& raw, const RawForm& form) {
  switch (form.type) {
    case BlobProto::DOUBLE:
      return converted<double>(raw, [](double value) { return static_cast<float>(value); });
    case BlobProto::FLOAT16:
      return converted<f16>(raw, [](f16 value) { return to_float(value); });
    default:
      return converted<float>(raw, [](float value) { return value; });
  }
}

}  // namespace

Shape blob_shape(const BlobProto& blob, const std::string& where) {
  std::vector<int64_t> dims;
  if (blob.has_shape()) {
    dims.assign(blob.shape().dim().begin(), blob.shape().dim().end());
  } else {
    dims = {blob.num(), blob.channels(), blob.height(), blob.width()};
  }
  if (dims.size() > static_cast<size_t>(Shape::kMaxRank)) {
    throw DataError(where + ": a shape with " + std::to_string(dims.size()) +
                    " dimensions (at most " + std::to_string(Shape::kMaxRank) + " are supported)");
  }
  int64_t count = 1;
  for (int64_t d : dims) {
    if (d < 0 || (d > 0 && count > std::numeric_limits<int64_t>::max() / d)) {
      throw DataError(where + ": a shape with the impossible dimension " + std::to_string(d));
    }
    count *= d;
  }
  return Shape(dims);
}

std::vector<float> blob_values(const BlobProto& blob, const std::string& where) {
  const Shape shape = blob_shape(blob, where);
  const int64_t count = shape.count();
  const auto check = [&](int64_t found) {
    if (found == count) return;
    throw DataError(where + ": the shape " + shape.str() + " needs " + std::to_string(count) +
                    " values, but the file has " + std::to_string(found));
  };
  if (blob.has_raw_data() && blob.data_size() == 0 && blob.double_data_size() == 0) {
    const RawForm form = raw_form(blob, where);
    check(static_cast<int64_t>(blob.raw_data().size() / form.bytes));
    if (blob.raw_data().size() % form.bytes != 0) {
      throw DataError(where + ": its " + std::to_string(blob.raw_data().size()) +
                      " bytes are no whole number of values of " + std::to_string(form.bytes));
    }
    return raw_values(blob.raw_data(), form);
  }
  check(blob.data_size() > 0 ? blob.data_size() : blob.double_data_size());
  if (blob.data_size() > 0) return {blob.data().begin(), blob.data().end()};
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] = static_cast<float>(blob.double_data(static_cast<int>(i)));
  }
  return values;
}

void set_blob(BlobProto* blob, const Shape& shape, std::span<const float> values) {
  if (static_cast<int64_t>(values.size()) != shape.count()) {
    throw InternalError("set_blob: " + std::to_string(values.size()) + " values for " +
                        shape.str());
  }
  blob->Clear();
  for (int64_t d : shape.dims()) blob->mutable_shape()->add_dim(d);
  blob->mutable_shape();  // a scalar has a shape, too
  blob->mutable_data()->Add(values.begin(), values.end());
}

bool shape_fits(const NamedBlob& blob, const Shape& wanted) {
  if (!blob.legacy_shape) return blob.shape == wanted;
  int extra = blob.shape.rank() - wanted.rank();
  if (extra < 0) return false;
  for (int i = 0; i < blob.shape.rank(); ++i) {
    if (blob.shape[i] != (i < extra ? 1 : wanted[i - extra])) return false;
  }
  return true;
}

}  // namespace resnet
