#include <limits>

#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"

namespace resnet {

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
  const int64_t count = blob_shape(blob, where).count();
  const int64_t found = blob.data_size() > 0 ? blob.data_size() : blob.double_data_size();
  if (found != count) {
    throw DataError(where + ": the shape " + blob_shape(blob, where).str() + " needs " +
                    std::to_string(count) + " values, but the file has " + std::to_string(found) +
                    (found == 0 && blob.unknown_fields().field_count() > 0
                         ? ": half-precision weights of a Caffe fork are not supported"
                         : ""));
  }
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
